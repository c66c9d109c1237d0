package media_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"demarc/telephony"
	"demarc/telephony/media"
)

// Ports serve one leg after the other without being closed between them. What a phone still sends for a call that is over must not
// be heard in the next one, even when that is with the same phone at the same ports.
func TestNothingOfAnEarlierCallIsHeardAtItsPorts(t *testing.T) {
	t.Parallel()
	t.Run("while the loop waits", func(t *testing.T) {
		t.Parallel()
		nothingLateIsHeard(t, ownPorts(t, 2), func(*fixture) {})
	})
	t.Run("while others talk", func(t *testing.T) {
		t.Parallel()
		nothingLateIsHeard(t, ownPorts(t, 4), others)
	})
}

// nothingLateIsHeard takes ports whose queues are full of what a former call was sent.
func nothingLateIsHeard(t *testing.T, ports media.PortRange, beside func(*fixture)) {
	f := start(t, func(c *media.Config) { c.Ports, c.Loops = ports, 1 })
	beside(f)
	a, b := f.call(setting{digits: 101}), f.call(setting{digits: 101})
	f.media.Relay(a.id, b.id)
	converse(t, a, b)
	former := []uint16{a.local.Audio.RTP, b.local.Audio.RTP}
	late := func(times int) {
		for _, port := range former {
			a.local.Audio.RTP = port
			for range times {
				a.say(0, []byte("late"))
			}
		}
	}
	f.media.Close(a.id)
	f.media.Close(b.id)
	if n := f.media.Warm(); n != 2 {
		t.Fatalf("%d pairs are kept, want both", n)
	}
	for range 100 { // longer than the ports rest
		late(1)
		time.Sleep(4 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // the loop has done what there was to do
	late(20)                          // as many as stand in a queue when the port is taken
	c := f.call(setting{})
	f.next++
	var err error
	a.id = f.next
	if a.local, err = f.media.Open(telephony.MediaOpening{ID: a.id, Listener: "udp", Peer: netip.MustParseAddr("127.0.0.1")}); err != nil {
		t.Fatal(err)
	}
	f.agree(a, setting{})
	f.media.Relay(a.id, c.id)
	if got := []uint16{c.local.Audio.RTP, a.local.Audio.RTP}; !slices.Contains(former, got[0]) || !slices.Contains(former, got[1]) {
		t.Fatalf("ports %d, want those of before: %d", got, former)
	}
	for range 10 {
		a.say(0, []byte("now"))
		if heard := c.hear(); !bytes.Equal(heard.Payload, []byte("now")) {
			t.Fatalf("%q is heard, of the call before", heard.Payload)
		}
	}
	for _, id := range []telephony.MediaID{a.id, c.id} {
		if r := f.media.Close(id); r.Refused != 0 || id == a.id && r.Received != 10 {
			t.Errorf("%+v", r)
		}
	}
}

// others talk at the same loop until the test is over, so that something is always ready to be read.
func others(f *fixture) {
	a, b := f.call(setting{}), f.call(setting{})
	f.media.Relay(a.id, b.id)
	a.say(0, []byte("others"))
	b.hear()
	ended, stop := make(chan struct{}), make(chan struct{})
	packet := a.packet(0, []byte("others"))
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
				_, _ = a.media.WriteToUDPAddrPort(packet, a.there()) // what is lost is as good
			}
		}
	}()
	f.t.Cleanup(func() { close(stop); <-ended })
}

// Who needs a file or a port gets it from those that are kept, one pair at a time. The test comes before those that run in parallel,
// because it takes all files that the process may open.
func TestKeptPortsMakeRoom(t *testing.T) {
	for _, c := range []struct {
		what  string
		pairs int
		short func(*testing.T)
	}{
		{"no port is free", 4, func(*testing.T) {}},
		{"no file is free", 25, exhaust},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := start(t, func(m *media.Config) { m.Ports, m.Loops = ownPorts(t, c.pairs), 1 })
			for range 4 {
				f.open()
			}
			for id := range f.next {
				f.media.Close(id + 1)
			}
			c.short(t)
			for kept := 4; kept > 2; kept-- {
				if got := f.media.Warm(); got != kept {
					t.Fatalf("%d pairs are kept, want %d", got, kept)
				}
				f.open() // none has rested
			}
		})
	}
}

// open opens a leg.
func (f *fixture) open() {
	f.t.Helper()
	f.next++
	if _, err := f.media.Open(telephony.MediaOpening{ID: f.next, Listener: "udp", Peer: netip.MustParseAddr("127.0.0.1")}); err != nil {
		f.t.Fatal(err)
	}
}

// Half of the files that the process may open are never those of ports that are kept.
func TestKeptPortsLeaveFilesToOthers(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Ports, c.Loops = ownPorts(t, 4), 1 })
	one, other := f.call(setting{}), f.call(setting{})
	f.media.KeepFilesBelow(3) // those of the standard streams
	f.media.Close(one.id)
	if n := f.media.Warm(); n != 0 {
		t.Errorf("%d pairs are kept", n)
	}
	f.media.KeepFilesBelow(1 << 30)
	f.media.Close(other.id)
	if n := f.media.Warm(); n != 1 {
		t.Errorf("%d pairs are kept, want the other one", n)
	}
	if c := f.media.Counters(); c.PortsFree != c.Ports {
		t.Errorf("%d of %d ports are free", c.PortsFree, c.Ports)
	}
}

// Ports that are kept are given up when nobody takes them, and when others need the room.
func TestKeptPortsAreFree(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Ports, c.Loops = ownPorts(t, 4), 2 })
	for range 5 {
		var all []*phone
		for range 4 {
			all = append(all, f.call(setting{}))
		}
		for _, p := range all {
			f.media.Close(p.id)
		}
	}
	wait(t, "the ports are closed", func() bool { return f.media.Warm() == 0 })
}

// exhaust opens files until the process may open no more.
func exhaust(t *testing.T) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	few := before
	few.Cur = min(few.Cur, 512)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
			t.Error(err)
		}
	})
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.EMFILE) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
	}
}
