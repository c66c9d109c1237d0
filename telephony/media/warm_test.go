package media_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/media"
)

// Ports serve one leg after the other without being closed between them. What a phone still sends for a call that is over must not
// be heard in the next one, even when that is with the same phone at the same ports.
func TestNothingOfAnEarlierCallIsHeardAtItsPorts(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Ports, c.Loops = media.PortRange{First: 44000, Last: 44003}, 1 })
	a, b := f.call(setting{digits: 101}), f.call(setting{digits: 101})
	f.media.Relay(a.id, b.id)
	converse(t, a, b)
	ports := []uint16{a.local.Audio.RTP, b.local.Audio.RTP}
	f.media.Close(a.id)
	f.media.Close(b.id)
	if n := f.media.Warm(); n != 2 {
		t.Fatalf("%d pairs are kept, want both", n)
	}
	for range 100 { // longer than the ports rest
		for _, port := range ports {
			a.local.Audio.RTP = port
			a.say(0, []byte("late"))
		}
		time.Sleep(4 * time.Millisecond)
	}
	for _, port := range ports { // as many as stand in a queue when the port is taken
		a.local.Audio.RTP = port
		for range 20 {
			a.say(0, []byte("late"))
		}
	}
	c := f.call(setting{})
	f.next++
	var err error
	a.id = f.next
	if a.local, err = f.media.Open(telephony.MediaOpening{ID: a.id, Listener: "udp", Peer: netip.MustParseAddr("127.0.0.1")}); err != nil {
		t.Fatal(err)
	}
	f.agree(a, setting{})
	f.media.Relay(a.id, c.id)
	if got := []uint16{c.local.Audio.RTP, a.local.Audio.RTP}; !slices.Contains(ports, got[0]) || !slices.Contains(ports, got[1]) {
		t.Fatalf("ports %d, want those of before: %d", got, ports)
	}
	for range 10 {
		a.say(0, []byte("now"))
		if heard := c.hear(); !bytes.Equal(heard.Payload, []byte("now")) {
			t.Fatalf("%q is heard, of the call before", heard.Payload)
		}
	}
	if r := f.media.Close(a.id); r.Received != 10 || r.Refused != 0 {
		t.Errorf("%+v", r)
	}
}

// Ports that are kept are given up when nobody takes them, and when others need the room.
func TestKeptPortsAreFree(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Ports, c.Loops = media.PortRange{First: 44010, Last: 44017}, 2 })
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
