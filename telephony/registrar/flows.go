package registrar

import "slices"

// flowUsers knows by hashes which AoRs registered over which stream. Nearly always it is one, for which a list would be much.
type flowUsers struct {
	first map[uint64]uint64
	more  map[uint64][]uint64
}

func newFlowUsers() flowUsers {
	return flowUsers{first: make(map[uint64]uint64), more: make(map[uint64][]uint64)}
}

// of returns who registered over the flow.
func (f flowUsers) of(flow uint64) []uint64 {
	first, ok := f.first[flow]
	if !ok {
		return nil
	}
	return append([]uint64{first}, f.more[flow]...)
}

func (f flowUsers) join(flow, user uint64) {
	switch first, ok := f.first[flow]; {
	case !ok:
		f.first[flow] = user
	case first != user && !slices.Contains(f.more[flow], user):
		f.more[flow] = append(f.more[flow], user)
	}
}

func (f flowUsers) leave(flow, user uint64) {
	more := f.more[flow]
	if first, ok := f.first[flow]; ok && first == user {
		if len(more) == 0 {
			delete(f.first, flow)
			return
		}
		f.first[flow], user = more[0], more[0]
	}
	if at := slices.Index(more, user); at >= 0 {
		more = slices.Delete(more, at, at+1)
	}
	if f.more[flow] = more; len(more) == 0 {
		delete(f.more, flow)
	}
}
