package edge_test

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony/authentication"
	"demarc/telephony/edge"
	"demarc/telephony/signal"
)

// order refuses every event that comes before what it belongs to, and counts the pairs that came in order.
type order struct {
	mu     sync.Mutex // who has to be asked for comes from other goroutines
	open   map[signal.TxID]bool
	pairs  atomic.Int64
	broken atomic.Int64
}

func (o *order) take(ev signal.Event) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch ev := ev.(type) {
	case *signal.Request:
		o.open[ev.Tx] = true
	case *signal.Cancel:
		if !o.open[ev.Tx] {
			o.broken.Add(1)
		}
		delete(o.open, ev.Tx)
		o.pairs.Add(1)
	}
	return true
}

// An INVITE and its CANCEL, sent back to back, come in this order: on one stream and over UDP, a hundred thousand times, whether
// their sender is known from memory or has to be asked for.
func TestCANCELNeverOvertakesItsINVITE(t *testing.T) {
	for transport, pairs := range map[string]int{"tcp": 50_000, "udp": 50_000} {
		t.Run(transport, func(t *testing.T) {
			o := &order{open: make(map[signal.TxID]bool)}
			h := &silent{order: o}
			r := start(t, h, edge.Limits{FlowReplies: 1 << 20, Admission: 1 << 30, Waiting: 1 << 30, UDPReplies: 1 << 30, SourceRequests: 1 << 30})
			h.signalling.Store(r.Signalling())
			p := r.party(transport)
			_ = p.SetDeadline(time.Now().Add(10 * time.Minute))
			drained := make(chan struct{})
			var answered atomic.Int64
			go func() {
				defer close(drained)
				for in := bufio.NewReaderSize(p, 1<<20); ; {
					line, err := in.ReadSlice('\n')
					if err != nil {
						return
					}
					if bytes.HasPrefix(line, []byte("SIP/2.0 487")) {
						answered.Add(1)
					}
				}
			}()
			began := time.Now()
			d := &dialogue{via: strings.ToUpper(transport), cseq: 1}
			for i := range pairs {
				d.callID = fmt.Sprint("pair-", i)
				invite, cancel := d.request("INVITE", fmt.Sprint(i)), d.request("CANCEL", fmt.Sprint(i))
				ahead := &answered // who does not read is cut off
				if transport == "tcp" {
					p.say(invite + cancel)
				} else {
					p.say(invite)
					p.say(cancel)
					ahead = &o.pairs // an answer may be lost
				}
				for i-int(ahead.Load()) > 200 { // no more than the socket holds
					if time.Since(began) > 5*time.Minute {
						t.Fatalf("%d of %d pairs were answered", ahead.Load(), pairs)
					}
					time.Sleep(50 * time.Microsecond)
				}
			}
			eventually(t, "all pairs came", func() bool { return o.pairs.Load() == int64(pairs) })
			if n := o.broken.Load(); n > 0 {
				t.Errorf("%d of %d came out of order", n, pairs)
			}
			_ = p.Close()
			<-drained
		})
	}
}

// silent is an exchange that answers CANCELs alone, and keeps nothing.
type silent struct {
	stub
	order      *order
	signalling atomic.Pointer[edge.Signalling]
	asked      atomic.Int64
}

// AuthenticateAtOnce does not know one sender in seven.
func (s *silent) AuthenticateAtOnce(c authentication.Credentials) (authentication.Verdict, bool) {
	v, _ := s.stub.AuthenticateAtOnce(c)
	return v, s.asked.Add(1)%7 != 0
}

func (s *silent) Take(ev signal.Event) bool {
	s.order.take(ev)
	if c, ok := ev.(*signal.Cancel); ok {
		s.signalling.Load().Reply(signal.Reply{Tx: c.Tx, Status: 487, ToTag: "t"})
	}
	return true
}
