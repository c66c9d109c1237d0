package edge

import (
	"errors"
	"os"
	"time"
)

// idle is how long the peer may be silent between messages. Whoever was told a Flow-Timer keeps to it, or its flow is dead
// (RFC 5626 §5.4); over a WebSocket our own pings ask for signs of life.
func (s *stream) idle() time.Duration {
	limits := s.edge.cfg.Limits
	if timer := s.flow.timer.Load(); timer > 0 && s.web == nil {
		return min(time.Duration(timer)*time.Second+limits.FlowGrace, limits.KnownIdle)
	}
	if s.flow.known.Load() {
		return limits.KnownIdle
	}
	return limits.Idle
}

// early returns the time, or an earlier one by which the first message must have come.
func (s *stream) early(t time.Time) time.Time {
	if !s.begun && t.After(s.firstBy) {
		return s.firstBy
	}
	return t
}

// await sets the read deadline of a peer that may be silent from now on; it reports false when the edge stops.
func (s *stream) await() bool {
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	s.waiting, s.since = true, time.Now()
	return s.setIdle()
}

// rearm sets the deadline again after a reply, whose request may have changed how long the peer may be silent. Nothing
// extends the time of a message under way. Who has proved something keeps the connection.
func (s *stream) rearm() {
	if s.flow.known.Load() {
		s.edge.guard.Proven(s.ticket)
	}
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	if s.waiting {
		s.setIdle()
	}
}

// rest reports whether a peer that has said nothing for a moment may go on so: then its memory can go until it speaks.
func (s *stream) rest(err error) bool {
	if s.resting || !s.begun || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	s.resting = true
	return time.Since(s.since) < s.idle() && s.setIdle()
}

// roused ends the rest.
func (s *stream) roused() {
	if s.resting {
		s.deadlines.Lock()
		defer s.deadlines.Unlock()
		s.resting = false
	}
}

// restAfter is how long a connection keeps the memory for its next message.
const restAfter = 4 * time.Second

// setIdle sets the deadline of a silent peer, a little late: so it need not be moved with every message.
func (s *stream) setIdle() bool {
	idle := s.idle()
	if !s.resting && s.begun && s.web == nil {
		idle = min(idle, restAfter)
	}
	due := s.early(s.since.Add(idle))
	if late := s.readBy.Sub(due); late >= 0 && late <= idle/slack && s.begun {
		return !s.edge.isStopping()
	}
	if s.begun {
		due = due.Add(idle / slack)
	}
	return s.set(due)
}

// slack is the part of a deadline that it may come late.
const slack = 16

// readUntil sets the read deadline of a message; it reports false when the edge stops.
func (s *stream) readUntil(t time.Time) bool {
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	s.waiting = false
	return s.set(t)
}

func (s *stream) set(deadline time.Time) bool {
	s.readBy = deadline
	return !s.edge.isStopping() && s.nc.SetReadDeadline(deadline) == nil
}

// wake ends a read under way: the edge stops. A handshake under way ends with it.
func (s *stream) wake() {
	s.deadlines.Lock()
	defer s.deadlines.Unlock()
	_ = s.raw.SetReadDeadline(past())
}

// ended counts why a silent or slow peer was given up.
func (s *stream) ended(err error, inMessage bool) {
	if !errors.Is(err, os.ErrDeadlineExceeded) || s.edge.isStopping() {
		return
	}
	switch {
	case inMessage:
		s.edge.reject(s.cfg, "slow_message")
	case !s.begun:
		s.edge.reject(s.cfg, "silent")
	case s.flow.timer.Load() > 0 && s.web == nil:
		s.edge.reject(s.cfg, "flow_timer")
	default:
		s.edge.reject(s.cfg, "idle")
	}
}
