package flood_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony/wire"
)

// pairs is how often a caller rings and hangs up in the same breath.
const pairs = 100_000

// INVITE and CANCEL back to back, a hundred thousand times over TCP and over UDP: every caller gets the 200 to his CANCEL and then the 487 to his
// INVITE, and no phone that was called goes on ringing.
func TestCancelComesAfterItsInvite(t *testing.T) {
	s := startServer(t, setting{users: 20, admission: 1_000_000, calls: true})
	for i, c := range []struct {
		name, network              string
		calls, connections, window int
	}{
		{"TCP, one connection", "tcp", pairs * 4 / 5, 1, 64},
		{"TCP, eight connections", "tcp", pairs / 5, 8, 8},
		{"UDP, one socket", "udp", pairs, 1, 16}, // few: the kernel drops datagrams that nobody reads in time
	} {
		t.Run(c.name, func(t *testing.T) {
			called := answerCalls(t, s.line(t, "tcp", 10+i))
			began := time.Now()
			var callers sync.WaitGroup
			for j := range c.connections {
				l := s.line(t, c.network, j)
				callers.Go(func() { ring(t, l, called, fmt.Sprint(i, "-", j), c.calls/c.connections, c.window) })
			}
			callers.Wait()
			t.Logf("%d calls begun and cancelled in %v, %d of them came to the phone", c.calls, time.Since(began).Round(time.Millisecond),
				called.rung.Load())
			eventually(t, "the phone that was called is silent again", func() bool { return called.ringing.Load() == 0 })
			if n := called.early.Load(); n > 0 {
				t.Errorf("%d CANCELs came to the phone before their INVITE", n)
			}
		})
	}
	eventually(t, "no call is left", func() bool { return s.metric("demarc_calls_live") == 0 })
	if begun, panics := s.metric("demarc_calls_total", `outcome="begun"`), s.metric("demarc_sip_panics_total"); begun != 2*pairs || panics > 0 {
		t.Errorf("%.0f calls were begun, with %.0f panics", begun, panics)
	}
}

// callee is a phone that rings until the caller hangs up.
type callee struct {
	*line
	rung, ringing, early atomic.Int64
	coming               atomic.Int64 // calls that were begun, less those that are over
}

// catchUp waits while there is much that the phone has not read: the server cuts off who is slow. Some calls are over before they come
// to the phone, and are not waited for.
func (c *callee) catchUp() {
	for range 100 {
		if c.coming.Load() < 64 {
			c.coming.Add(1)
			return
		}
		time.Sleep(time.Millisecond)
	}
	c.coming.Store(1)
}

// answerCalls lets a phone ring until the test ends.
func answerCalls(t *testing.T, l *line) *callee {
	c := &callee{line: l}
	var answering sync.WaitGroup
	answering.Go(func() { c.answer(t) })
	t.Cleanup(func() {
		_ = l.say(t, []byte("\r\n\r\n")) // its answer lets the phone see that the test is over
		answering.Wait()
	})
	return c
}

func (c *callee) answer(t *testing.T) {
	contact := "Contact: <" + c.contact() + ">\r\n"
	invites := make(map[string][]byte) // by Call-ID: the 487 that is due when it is cancelled
	for c.next(t) {
		id := string(c.m.CallID)
		switch method := string(c.m.Method); method {
		case "INVITE":
			if invites[id] == nil {
				c.rung.Add(1)
				c.ringing.Add(1)
			}
			invites[id] = response(&c.m, "487 Request Terminated", "")
			c.later(t, response(&c.m, "180 Ringing", contact))
		case "CANCEL":
			c.later(t, response(&c.m, "200 OK", ""))
			if invites[id] == nil {
				c.early.Add(1)
				continue
			}
			c.later(t, invites[id])
		case "ACK":
			if invites[id] != nil {
				c.ringing.Add(-1)
				c.coming.Add(-1)
				delete(invites, id)
			}
		case "": // a keep-alive's answer
			return
		default:
			t.Errorf("the phone that was called got %s", method)
			return
		}
	}
}

// caller rings and hangs up over one line.
type caller struct {
	*line
	to   *callee
	name string // what its Call-IDs begin with

	mu     sync.Mutex
	states []state // of the calls, by number
}

// state is how far a call is.
type state struct {
	said                      time.Time
	tried, cancelled, refused bool
}

// ring begins and cancels calls, so many at a time, and waits until each got 200 and 487.
func ring(t *testing.T, l *line, to *callee, name string, calls, window int) {
	c := &caller{line: l, to: to, name: name, states: make([]state, calls)}
	places := make(chan struct{}, window)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		c.hear(t, func() { <-places })
	}()
	repeat := time.NewTicker(500 * time.Millisecond) // T1
	defer repeat.Stop()
	for call := 0; ; {
		next := places
		if call == calls {
			next = nil
		}
		select {
		case next <- struct{}{}:
			if !c.begin(t, call) {
				<-heard
				return
			}
			call++
		case <-repeat.C:
			c.repeat(t, max(0, call-2*window), call)
		case <-heard: // all is over, or something went wrong
			return
		}
	}
}

// begin sends an INVITE and its CANCEL.
func (c *caller) begin(t *testing.T, call int) bool {
	c.to.catchUp()
	c.mu.Lock()
	c.states[call].said = time.Now()
	c.mu.Unlock()
	invite, cancel := c.message("INVITE", call), c.message("CANCEL", call)
	if c.network == "tcp" {
		return c.say(t, append(invite, cancel...))
	}
	return c.say(t, invite) && c.say(t, cancel)
}

// repeat sends again what was lost over UDP (RFC 3261 §17.1): of the calls from one number up to another what had no answer in T1.
func (c *caller) repeat(t *testing.T, from, to int) {
	for call := from; c.network == "udp" && call < to; call++ {
		c.mu.Lock()
		s := c.states[call]
		c.mu.Unlock()
		if s.refused || time.Since(s.said) < 500*time.Millisecond {
			continue
		}
		if !s.tried && !c.say(t, c.message("INVITE", call)) || !s.cancelled && !c.say(t, c.message("CANCEL", call)) {
			return
		}
	}
}

const pcma = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 8\r\n"

// message renders a request of a call, whose number ends its Call-ID.
func (c *caller) message(method string, call int) []byte {
	body, about := "", ""
	if method == "INVITE" {
		body, about = pcma, "Contact: <"+c.contact()+">\r\nContent-Type: application/sdp\r\n"
	}
	return fmt.Appendf(nil, "%[1]s sip:%[2]s@%[3]s SIP/2.0\r\nVia: SIP/2.0/%[4]s 192.0.2.1;branch=z9hG4bK%[5]s-%[6]d;rport\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:%[7]s@%[3]s>;tag=f\r\nTo: <sip:%[2]s@%[3]s>\r\nCall-ID: %[5]s-%[6]d\r\nCSeq: 1 %[1]s\r\n"+
		"%[8]sContent-Length: %[9]d\r\n\r\n%[10]s", method, c.to.user, domain, strings.ToUpper(c.network), c.name, call, c.user, about,
		len(body), body)
}

// hear reads responses until every call got its 200 to CANCEL, and then its 487 to INVITE, and acknowledges those.
func (c *caller) hear(t *testing.T, done func()) {
	for left := len(c.states); left > 0; {
		if !c.next(t) {
			t.Errorf("%d calls are not over", left)
			return
		}
		at := bytes.LastIndexByte(c.m.CallID, '-')
		call, err := strconv.Atoi(string(c.m.CallID[at+1:]))
		if err != nil || call < 0 || call >= len(c.states) {
			t.Errorf("an answer to the unknown call %s", c.m.CallID)
			return
		}
		first, ok := c.heard(t, call)
		if !ok {
			return
		}
		if first {
			left--
			done()
		}
	}
}

// heard notes a response of a call. over says that it is the first one to end it.
func (c *caller) heard(t *testing.T, call int) (over, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.states[call]
	switch method := string(c.m.CSeqMethod); {
	case method == "INVITE" && c.m.Status < 200:
		s.tried = true
	case method == "CANCEL" && c.m.Status == 200:
		s.cancelled = true
	case method == "INVITE" && c.m.Status == 487:
		if !s.cancelled {
			t.Errorf("call %d got 487 before the 200 to its CANCEL", call)
		}
		over = !s.refused // over UDP it may come again
		s.tried, s.refused = true, true
		return over, c.later(t, acknowledge(&c.m, c.to.user))
	case method == "CANCEL" && c.m.Status == 481 && c.network == "udp" && !s.tried: // its INVITE was lost, and both come again
	default:
		t.Errorf("%s of call %d got %d", method, call, c.m.Status)
		return false, false
	}
	return false, true
}

// acknowledge renders the ACK to a final response that is no 2xx (RFC 3261 §17.1.1.3).
func acknowledge(m *wire.Message, to string) []byte {
	via, _, _ := bytes.Cut(m.Vias[0], []byte(";rport"))
	return fmt.Appendf(nil, "ACK sip:%s@%s SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\n"+
		"CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", to, domain, via, m.From, m.To, m.CallID)
}
