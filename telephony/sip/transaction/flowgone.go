package transaction

import (
	"sync"

	"demarc/telephony/signal"
)

// endings lets flows that end at the same time share one walk over the transactions: there are many of both when a network
// fails, and nobody keeps which transactions stand on which flow.
type endings struct {
	walking sync.Mutex
	mu      sync.Mutex
	next    *ending // who ends before its walk begins joins it
}

type ending struct {
	flows map[uint64]struct{}
	over  chan struct{}
}

// FlowGone ends or moves what waits for a response over a flow that has ended. It returns when that is done, and is not to be
// called from Failed.
func (u *UAC) FlowGone(flow uint64) {
	e := &u.endings
	e.mu.Lock()
	of, first := e.next, e.next == nil
	if first {
		of = &ending{make(map[uint64]struct{}), make(chan struct{})}
		e.next = of
	}
	of.flows[flow] = struct{}{}
	e.mu.Unlock()
	if !first {
		<-of.over
		return
	}
	e.walking.Lock()
	defer e.walking.Unlock()
	e.mu.Lock()
	e.next = nil
	e.mu.Unlock()
	defer close(of.over)
	for i := range u.shards {
		for _, f := range u.shards[i].gone(of.flows) {
			u.cfg.Failed(f)
		}
	}
}

func (s *uacShard) gone(flows map[uint64]struct{}) (failures []Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, all := range [...]map[signal.TxID]*clientTx{s.table, s.cancel} {
		for _, t := range all {
			if t.carrier == nil {
				continue
			}
			if _, ended := flows[t.carrier.Flow().ID]; !ended {
				continue
			}
			if failure, failed := t.gone(); failed {
				failures = append(failures, failure)
			}
		}
	}
	return failures
}
