package events

import (
	"context"
	"fmt"
	"time"
)

// tell sends the state as it is now, unless a NOTIFY is under way or too young: then it is told by the next.
func (s *Service) tell(sub *subscription) {
	now := s.now()
	s.table.mu.Lock()
	if s.table.all[sub.id] != sub {
		s.table.mu.Unlock()
		return
	}
	if sub.sending || now.Before(sub.next) {
		sub.dirty = true
		s.table.mu.Unlock()
		return
	}
	state := fmt.Sprintf("active;expires=%d", max(0, int(sub.expires.Sub(now)/time.Second)))
	if !s.table.closed {
		s.start(sub, state)
	}
	s.table.mu.Unlock()
}

// send sends a last NOTIFY, after the one that is under way.
func (s *Service) send(sub *subscription, state string) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	if sub.sending {
		sub.over = state
		return
	}
	if !s.table.closed {
		s.start(sub, state)
	}
}

// start sends a NOTIFY; the lock is held.
func (s *Service) start(sub *subscription, state string) {
	sub.sending, sub.dirty, sub.next = true, false, s.now().Add(s.Pause)
	sub.local++
	n := Notify{
		Flow: sub.flow, URI: sub.contact, Route: sub.route, From: sub.to + ";tag=" + sub.id.local,
		To: sub.from + ";tag=" + sub.id.remote, CallID: sub.id.callID, CSeq: sub.local, Event: sub.pkg.name, State: state,
		Type: sub.pkg.document,
	}
	if sub.id.id != "" {
		n.Event += ";id=" + sub.id.id
	}
	version := sub.version
	sub.version++
	s.sending.Go(func() { s.deliver(sub, n, version) })
}

func (s *Service) deliver(sub *subscription, n Notify, version int) {
	gone, again := true, time.Duration(0)
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked("NOTIFY", fault)
		}
		s.delivered(sub, gone, again)
	}()
	ctx, cancel := context.WithTimeout(s.life, notifyTimeout)
	defer cancel()
	var err error
	if n.Content, err = sub.pkg.render(s, ctx, sub.of, version); err != nil {
		s.Log.Warn("an event's state cannot be read, the subscription ends", "event", n.Event, "error", err)
		n.State = "terminated;reason=probation;retry-after=30"
		_, _, _ = s.Sender.Notify(ctx, n)
		return
	}
	status, later, err := s.Sender.Notify(ctx, n)
	if err == nil && status >= 300 {
		again = later
	}
	gone = err != nil || status >= 300 && again == 0 // RFC 6665 §4.2.2
	if gone {
		s.tally[1].Add(1)
		return
	}
	s.tally[0].Add(1)
}

// delivered takes the end of a NOTIFY: whoever does not take it any more has no subscription, and who was too busy to take it is told
// the state again when he wants to be.
func (s *Service) delivered(sub *subscription, gone bool, again time.Duration) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	sub.sending = false
	if gone {
		s.table.removeLocked(sub)
		return
	}
	if again > 0 {
		sub.dirty, sub.next = true, s.now().Add(again)
	}
	if sub.over != "" {
		state := sub.over
		sub.over = ""
		s.start(sub, state)
	}
}
