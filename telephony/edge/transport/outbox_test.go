package transport_test

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/telephony/edge/transport"
)

// peer notes what an outbox wrote to it, and what became of it.
type peer struct {
	*transport.Outbox
	mu      sync.Mutex
	wrote   []string // what came with one write, its messages apart
	cuts    int
	slows   int
	faults  int
	reading func() error // before anything is taken; nil: at once
}

func newPeer(limit int) *peer {
	p := &peer{Outbox: new(transport.Outbox)}
	note := func(n *int) func() {
		return func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			*n++
		}
	}
	p.OutboxConfig = transport.OutboxConfig{
		Limit: limit, Buffers: new(transport.Buffers), Cut: note(&p.cuts), Slow: note(&p.slows),
		Fault: func(any) { note(&p.faults)() },
		Flush: func(b []byte, ends []int) error {
			if p.reading != nil {
				if err := p.reading(); err != nil {
					return err
				}
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			var messages []string
			begin := 0
			for _, end := range ends {
				messages = append(messages, string(b[begin:end]))
				begin = end
			}
			p.wrote = append(p.wrote, strings.Join(messages, "|"))
			return nil
		},
	}
	return p
}

// all returns what was written, one write after the other.
func (p *peer) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.wrote, ",")
}

func TestOutboxWritesInOrder(t *testing.T) {
	p := newPeer(0)
	p.Cork()
	p.Send([]byte("one"))
	p.Send([]byte("two"))
	if got := p.all(); got != "" {
		t.Errorf("%q was written while its reader was at work", got)
	}
	p.Uncork()
	if got := p.all(); got != "one|two" { // uncorking writes by itself
		t.Errorf("%q was written", got)
	}
	p.Uncork() // there is nothing
	p.Send([]byte("three"))
	p.Finish()
	p.Send([]byte("late"))
	if got := p.all(); got != "one|two,three" || p.cuts+p.slows+p.faults != 0 {
		t.Errorf("%q was written; cut %d, slow %d, faults %d", got, p.cuts, p.slows, p.faults)
	}
}

func TestOutboxCutsOffWhoDoesNotRead(t *testing.T) {
	p := newPeer(8)
	p.Cork()
	p.Send([]byte("12345678"))
	p.Send([]byte("9"))
	p.Send([]byte("0")) // nothing more can be written
	p.Uncork()
	p.Finish()
	if p.cuts != 1 || p.slows != 1 || p.all() != "" {
		t.Errorf("cut %d, slow %d, wrote %q", p.cuts, p.slows, p.all())
	}
}

func TestOutboxEndsWithAFailedWrite(t *testing.T) {
	for name, c := range map[string]struct {
		reading       func() error
		slows, faults int
	}{
		"too slow": {func() error { return os.ErrDeadlineExceeded }, 1, 0},
		"closed":   {func() error { return errors.New("closed") }, 0, 0},
		"panic":    {func() error { panic("injected") }, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(0)
			p.reading = c.reading
			p.Send([]byte("one"))
			p.Finish()
			if p.cuts != 1 || p.slows != c.slows || p.faults != c.faults || p.all() != "" {
				t.Errorf("cut %d, slow %d, faults %d, wrote %q", p.cuts, p.slows, p.faults, p.all())
			}
		})
	}
}

// Finish waits for what runs beside, and for the write that is under way.
func TestOutboxFinishesLast(t *testing.T) {
	p := newPeer(0)
	begin, done := make(chan struct{}), make(chan struct{})
	p.reading = func() error { <-begin; return nil }
	p.Send([]byte("one"))
	p.Beside(func() { <-begin })
	go func() {
		defer close(done)
		p.Finish()
	}()
	select {
	case <-done:
		t.Error("it did not wait")
	case <-time.After(20 * time.Millisecond):
	}
	close(begin)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
	if p.all() != "one" {
		t.Errorf("%q was written", p.all())
	}
}
