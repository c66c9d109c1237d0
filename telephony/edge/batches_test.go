package edge_test

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"demarc/telephony/signal"
)

// collecting takes calls, and notes what it is told.
type collecting struct {
	through
	mu   sync.Mutex
	told []string
	done chan struct{}
}

func (c *collecting) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, what)
}

func (c *collecting) Collect() { c.note("collect") }

func (c *collecting) Take(signal.Event) bool {
	c.note("take")
	return true
}

func (c *collecting) Work() {
	c.note("work")
	if slices.Contains(c.told, "take") {
		close(c.done)
	}
}

// Calls hear which messages were read together.
func TestWhatIsReadTogetherIsTakenTogether(t *testing.T) {
	c := &collecting{done: make(chan struct{})}
	e, stop := overUDP(t, "127.0.0.1:0", c)
	defer stop()
	nc, err := net.Dial("udp", e.Addr("udp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p := &phones{}
	<-e.Signalling().Serves()
	if _, err := nc.Write(p.request("INVITE", 1, "", benchSDP)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.done:
	case <-time.After(20 * time.Second):
		t.Fatal("no call was taken between Collect and Work")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if want := []string{"collect", "take", "work"}; !slices.Equal(c.told, want) {
		t.Errorf("told %v, want %v", c.told, want)
	}
}
