package events

import (
	"context"
	"fmt"
	"time"

	"demarc/internal/timeline"
)

// timedOut is the Subscription-State of who has left, or did not come back in time (RFC 6665 §4.1.3).
const timedOut = "terminated;reason=timeout"

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

// send sends the last NOTIFY that is owed, unless one is under way: then it follows that one.
func (s *Service) send(sub *subscription) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	if !sub.sending && sub.over != "" && !s.table.closed {
		s.last(sub)
	}
}

// last sends the last NOTIFY; the lock is held. It may follow one that was under way when the stop began, which waits for both.
func (s *Service) last(sub *subscription) {
	state := sub.over
	sub.over = ""
	s.start(sub, state)
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

// deliver waits for the phone's answer, for timer F at most.
func (s *Service) deliver(sub *subscription, n Notify, version int) {
	e := end{gone: true}
	defer func() {
		if fault := recover(); fault != nil {
			s.panicked("NOTIFY", fault)
		}
		s.delivered(sub, e)
	}()
	ctx, cancel := context.WithTimeout(s.life, s.Deadline)
	defer cancel()
	var err error
	if n.Content, err = sub.pkg.render(s, ctx, sub.of, version); err != nil {
		s.tally[1].Add(1)
		s.Log.Warn("an event's state cannot be read, the subscription ends", "event", n.Event, "error", err)
		n.State = "terminated;reason=probation;retry-after=30"
		_, _, _ = s.Sender.Notify(ctx, n)
		return
	}
	status, again, err := s.Sender.Notify(ctx, n)
	if e = ended(status, again, err); e.gone || e.again > 0 {
		s.tally[1].Add(1)
	} else {
		s.tally[0].Add(1)
	}
	if e.gone && s.life.Err() == nil {
		s.tellUser(sub, n, status, err)
	}
}

// end is how a NOTIFY ended.
type end struct {
	gone  bool          // the phone has no subscription any more
	again time.Duration // it is to be told again after that
}

// mostPatience bounds how long a phone may want to be told nothing: what stands on it is wrong meanwhile.
const mostPatience = 5 * time.Minute

// ended is what RFC 6665 §4.2.2 makes of the answer to a NOTIFY: without one, or with a refusal, the subscription is over, unless the phone names a
// time to try again.
func ended(status int, again time.Duration, err error) end {
	switch {
	case err == nil && status < 300:
		return end{}
	case err == nil && again > 0 && status != 481:
		return end{again: min(again, mostPatience)}
	}
	return end{gone: true}
}

// tellUser tells the watcher's timeline why his phone shows nothing any more: once for many subscriptions that end together.
func (s *Service) tellUser(sub *subscription, n Notify, status int, err error) {
	now := s.now()
	fresh := false
	s.told.Update(sub.user, func(last time.Time, _ bool) time.Time {
		if fresh = now.Sub(last) >= toldEvery; fresh {
			return now
		}
		return last
	})
	if s.Timeline == nil || !fresh {
		return
	}
	text := "A phone refused a NOTIFY: what it watches (" + n.Event + ") is not told it any more until it subscribes again."
	if err != nil {
		status = 408
		text = "A phone did not answer a NOTIFY: what it watches (" + n.Event + ") is not told it any more until it subscribes again. Look whether it is reached."
	}
	s.Timeline.Note(sub.user, timeline.Entry{Account: sub.of.account, At: now, Kind: timeline.Warning, Code: status, Text: text, Actor: "events"})
}

// delivered takes the end of a NOTIFY: whoever does not take it any more has no subscription, and who was too busy to take it is told
// the state again when he wants to be.
func (s *Service) delivered(sub *subscription, e end) {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	sub.sending = false
	switch {
	case e.gone:
		sub.over = ""
		s.table.remove(sub)
	case sub.over != "":
		s.last(sub)
	case e.again > 0:
		sub.dirty, sub.next = true, s.now().Add(e.again)
	}
	s.table.settle(sub)
}
