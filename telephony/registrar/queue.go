package registrar

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/registration"
)

// job is one REGISTER on its way. Its reply is called exactly once.
type job struct {
	req   *registration.Request
	reply func(registration.Reply)
	who   authentication.Identity

	counted  bool // the committer expects it
	answered bool
	told     bool // that it is refused is due to be told, however often that is tried
}

// queue collects what arrives at a shard while its worker is busy. Requests are bounded; closed flows are not, for
// there are no more of them than connections, and none may be lost. Requests about whose sender the directory has to be
// asked wait apart: strangers can send any number of those, and must not stand before phones that are known.
type queue struct {
	mu     sync.Mutex
	limit  int
	jobs   []*job
	unsure []*job
	closed []uint64
	others map[telephony.AoR]struct{} // AoRs that another node has told of
	probes []probed                   // bounded by the probes that may be under way
	told   []telephony.RegistrationChange
	ended  bool
	wake   chan struct{}

	coming   *awaited // counts this shard while it has jobs and its worker does not attend
	attended bool

	// What most requests look at, without the lock: how much waits that goes before them, and whether something may come.
	waiting atomic.Int64
	shut    atomic.Bool
}

func newQueue(limit int, coming *awaited) *queue {
	return &queue{limit: limit, wake: make(chan struct{}, 1), coming: coming}
}

// open reports whether something may be pushed now.
func (q *queue) open() bool {
	if !q.shut.Load() && q.waiting.Load() == 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.ended && len(q.jobs) < q.limit
}

// idle reports whether nothing waits and something may come.
func (q *queue) idle() bool { return !q.shut.Load() && q.waiting.Load() == 0 }

// count notes what waits. The lock is held.
func (q *queue) count() { q.waiting.Store(int64(len(q.jobs) + len(q.closed) + len(q.others))) }

// push reports whether there was room.
func (q *queue) push(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	line := &q.jobs
	if j.who.Unsure {
		line = &q.unsure
	}
	if q.ended || len(*line) >= q.limit {
		return false
	}
	*line = append(*line, j)
	if len(q.jobs) == 1 && line == &q.jobs && !q.attended {
		q.coming.add(1)
	}
	q.count()
	q.signal()
	return true
}

// takeUnsure returns the oldest request whose sender is not known, if there is one.
func (q *queue) takeUnsure() (j *job, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.unsure) == 0 {
		return nil, false
	}
	j, q.unsure = q.unsure[0], q.unsure[1:]
	return j, true
}

// asks reports whether somebody's sender is still to be found out; the worker is woken for that.
func (q *queue) asks() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.unsure) == 0 {
		return false
	}
	q.signal()
	return true
}

func (q *queue) close(flow uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = append(q.closed, flow)
	q.count()
	q.signal()
}

func (q *queue) probed(p probed) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.probes = append(q.probes, p)
	q.signal()
}

// stale notes that an AoR is to be read again.
func (q *queue) stale(aor telephony.AoR) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.others == nil {
		q.others = make(map[telephony.AoR]struct{})
	}
	q.others[aor] = struct{}{}
	q.count()
	q.signal()
}

// again notes AoRs that could not be read: they are tried with the next tick, and not at once for ever.
func (q *queue) again(aors []telephony.AoR) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.others == nil {
		q.others = make(map[telephony.AoR]struct{})
	}
	for _, aor := range aors {
		q.others[aor] = struct{}{}
	}
	q.count()
}

func (q *queue) takeStale() []telephony.AoR {
	q.mu.Lock()
	defer q.mu.Unlock()
	found := slices.Collect(maps.Keys(q.others))
	q.others = nil
	q.count()
	return found
}

// tell notes something for the feed; whoever calls it bounds how often.
func (q *queue) tell(c telephony.RegistrationChange) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.told = append(q.told, c)
	q.signal()
}

func (q *queue) takeTold() []telephony.RegistrationChange {
	q.mu.Lock()
	defer q.mu.Unlock()
	found := q.told
	q.told = nil
	return found
}

// takeProbed returns what probes have found.
func (q *queue) takeProbed() []probed {
	q.mu.Lock()
	defer q.mu.Unlock()
	found := q.probes
	q.probes = nil
	return found
}

// attend says that the worker is about to take what has arrived, and what does until then.
func (q *queue) attend() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.arrive(true)
}

// arrive notes whether the worker attends. The lock is held.
func (q *queue) arrive(attends bool) {
	if !q.attended && len(q.jobs) > 0 {
		q.coming.done()
	}
	q.attended = attends
}

// take returns all that has arrived, and whether nothing more will come.
func (q *queue) take() (jobs []*job, closed []uint64, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.arrive(false)
	jobs, closed = q.jobs, q.closed
	q.jobs, q.closed = nil, nil
	q.count()
	return jobs, closed, q.ended
}

// end lets nothing more in.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.shut.Store(true)
	q.signal()
}

func (q *queue) signal() { signal(q.wake) }
