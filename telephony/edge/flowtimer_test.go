package edge_test

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/coder/websocket"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
)

// timed grants every registration with a Flow-Timer, a moment after it was asked.
func timed(seconds int) *fake {
	return &fake{decide: func(req *registration.Request, reply func(registration.Reply)) {
		time.AfterFunc(20*time.Millisecond, func() {
			accept(req, func(r registration.Reply) {
				r.FlowTimer = seconds
				reply(r)
			})
		})
	}}
}

// A phone that was told a Flow-Timer and sends no more keep-alives is gone (RFC 5626 §5.4); one that sends them stays.
func TestFlowTimerIsHeldTo(t *testing.T) {
	const timer, grace = 2 * time.Second, 2 * time.Second
	for _, listener := range []string{"tcp", "tls"} {
		t.Run(listener, func(t *testing.T) {
			t.Parallel()
			f := timed(int(timer.Seconds()))
			r := start(t, f, edge.Limits{FlowGrace: grace})
			lost, kept := r.dial(listener), r.dial(listener)
			began := time.Now() // and the timer begins later
			_, _ = io.WriteString(lost, message("REGISTER", "TCP", "lost", "Contact: <sip:a@b>"))
			_, _ = io.WriteString(kept, message("REGISTER", "TCP", "kept", "Contact: <sip:a@b>"))
			answers(t, lost, 1)
			answers(t, kept, 1)
			for len(closedOf(f)) == 0 {
				if time.Since(began) > time.Minute {
					t.Fatal("the flow without keep-alives is still open")
				}
				_, _ = io.WriteString(kept, "\r\n\r\n")
				if got := answers(t, kept, 1); got[0] != "crlf" {
					t.Fatal(got)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if closed := closedOf(f); len(closed) != 1 || closed[0].Remote != local(lost) {
				t.Errorf("closed: %+v", closed)
			}
			if took := time.Since(began); took < timer {
				t.Errorf("closed after %v, before its timer", took)
			}
			if n := r.Counters().Rejects[edge.Reject{Listener: listener, Reason: "flow_timer"}]; n != 1 {
				t.Errorf("counted %d times", n)
			}
		})
	}
}

func closedOf(f *fake) []telephony.Flow {
	_, closed := f.seen()
	return closed
}

// A reply that comes when the reader waits again still gives the phone the patience of those who proved who they are.
func TestKnownPhonesMayBeSilent(t *testing.T) {
	for _, listener := range []string{"tcp", "tls"} {
		t.Run(listener, func(t *testing.T) {
			f := timed(0)
			nc := start(t, f, edge.Limits{Idle: 300 * time.Millisecond, KnownIdle: time.Minute}).dial(listener)
			_, _ = io.WriteString(nc, message("REGISTER", "TCP", "1", "Contact: <sip:a@b>"))
			answers(t, nc, 1)
			_ = nc.SetReadDeadline(time.Now().Add(time.Second))
			if n, err := nc.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d bytes, %v", n, err)
			}
			if closed := closedOf(f); len(closed) > 0 {
				t.Errorf("closed: %+v", closed)
			}
		})
	}
	t.Run("ws", func(t *testing.T) {
		f := timed(0)
		ws := start(t, f, edge.Limits{Idle: 300 * time.Millisecond, KnownIdle: time.Minute}).web("ws")
		sendWeb(t, ws, websocket.MessageText, message("REGISTER", "WS", "1", "Contact: <sip:a@b>"))
		if _, answer, err := receive(t, ws); err != nil || status(answer) != "200" {
			t.Fatal(answer, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := ws.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if closed := closedOf(f); len(closed) > 0 && ctx.Err() == nil {
			t.Errorf("closed: %+v", closed)
		}
	})
}
