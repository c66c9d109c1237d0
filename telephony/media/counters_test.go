package media_test

import (
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/media"
)

func TestCountersTellWhatBecameOfPackets(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Ports = ownPorts(t, 50) })
	a, b := f.call(setting{suite: "AES_CM_128_HMAC_SHA1_80"}), f.call(setting{})
	f.media.Relay(a.id, b.id)
	if c := f.media.Counters(); c.Legs != 2 || c.Ports != 50 || c.PortsFree != 48 || c.Relayed != 0 {
		t.Errorf("at first: %+v", c)
	}
	converse(t, a, b)
	stranger := listenUDP(t)
	b.send(stranger, b.packet(0, []byte("from elsewhere")))
	forged := a.packet(0, []byte("sound"))
	forged[len(forged)-1] ^= 1
	a.send(a.media, forged)
	a.send(a.media, []byte{0xff})
	wait(t, "three packets are refused", func() bool {
		r := f.media.Counters().Refused
		return r["elsewhere"] == 1 && r["forged"] == 1 && r["malformed"] == 1
	})
	if c := f.media.Counters(); c.Relayed != 40 || c.Quality.Loss.Count != 0 {
		t.Errorf("after talking: %+v", c)
	}
	f.media.Close(a.id)
	f.media.Close(b.id) // was never heard: says nothing of quality
	c := f.media.Counters()
	if c.Legs != 0 || c.PortsFree != 50 || c.Quality.Loss.Count != 1 || c.Quality.Jitter.Count != 1 {
		t.Errorf("at last: %+v", c)
	}
}

func TestOneWayAudioAndTimeOutsAreCounted(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Timeout = 7 * time.Second })
	mute, other := f.call(setting{}), f.call(setting{})
	f.media.Relay(mute.id, other.id)
	wait(t, "both are counted", func() bool {
		other.say(0, []byte("anybody there?"))
		c := f.media.Counters()
		return c.OneWay["silent"] == 1 && c.Stopped == 1
	})
}

func TestQualityIsSpreadOverItsBounds(t *testing.T) {
	q := media.NewQuality()
	for _, r := range []telephony.MediaReport{
		{Received: 90, Lost: 10, Jitter: 3 * time.Millisecond},
		{Received: 100, Jitter: 2 * time.Second, RoundTrip: 20 * time.Millisecond, Sent: 1000, LostThere: 5, JitterThere: time.Millisecond},
		{},
	} {
		q.Add(r)
	}
	upTo := func(d media.Distribution, bound float64) uint64 {
		for i, b := range d.Bounds {
			if b == bound {
				return d.UpTo[i]
			}
		}
		t.Fatalf("there is no bound %g", bound)
		return 0
	}
	for _, c := range []struct {
		name  string
		d     media.Distribution
		count uint64
		bound float64
		upTo  uint64
	}{
		{"jitter up to 2 ms", q.Jitter, 2, 0.002, 0},
		{"jitter up to 5 ms", q.Jitter, 2, 0.005, 1},
		{"jitter up to 1 s", q.Jitter, 2, 1, 1},
		{"no loss", q.Loss, 2, 0, 1},
		{"a tenth lost", q.Loss, 2, 0.1, 2},
		{"round trip", q.RoundTrip, 1, 0.02, 1},
		{"loss there", q.LossThere, 1, 0.005, 1},
		{"jitter there", q.JitterThere, 1, 0.001, 1},
	} {
		if got := upTo(c.d, c.bound); c.d.Count != c.count || got != c.upTo {
			t.Errorf("%s: %d of %d, want %d of %d", c.name, got, c.d.Count, c.upTo, c.count)
		}
	}
	if q.Jitter.Sum != 2.003 {
		t.Errorf("sum of jitter %g", q.Jitter.Sum)
	}
}
