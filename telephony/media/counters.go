package media

import "demarc/telephony"

// Counters are what the media has done and has now.
type Counters struct {
	Legs      int
	Ports     int               // pairs
	PortsFree int               // pairs, those that are kept for the next legs among them
	Relayed   uint64            // packets sent on from one leg to another
	Refused   map[string]uint64 // packets that were not let in, by why
	OneWay    map[string]uint64 // legs that were not heard while the other one was, by what could be seen of why
	Stopped   uint64            // legs of which nothing came for the time-out
	Unsecured uint64            // legs whose DTLS failed
	Quality   Quality
}

// Quality is how the audio of the legs was that have ended: what phones sent, and what they said of what we sent (RFC 3550
// §6.4). A leg that was never heard is not in it.
type Quality struct {
	Jitter, JitterThere Distribution // seconds
	Loss, LossThere     Distribution // share of the packets
	RoundTrip           Distribution // seconds; of legs that could tell
}

// why a packet was not let in.
type why uint8

const (
	malformed  why = iota // neither RTP nor RTCP, STUN or DTLS, or too long
	unagreed              // nothing of that kind was agreed on for the port
	elsewhere             // plain, and not from where the phone is
	keyless               // before the keys are known
	forged                // not protected with the agreed key, or repeated
	unprompted            // DTLS from elsewhere
	unchecked             // an ICE check without the right password
	excess                // authentic, but more than any phone needs to send
	whys
)

var whyNames = [whys]string{"malformed", "unagreed", "elsewhere", "keyless", "forged", "dtls", "ice", "excess"}

// mute is why a leg is not heard, as far as it can be seen.
type mute uint8

const (
	silent       mute = iota // nothing comes
	misplaced                // packets come from elsewhere
	undeciphered             // packets are not protected with the agreed key
	mutes
)

var muteNames = [mutes]string{"silent", "elsewhere", "forged"}

// tally is what a loop counts.
type tally struct {
	relayed, stopped, unsecured uint64
	refused                     [whys]uint64
	oneWay                      [mutes]uint64
}

// Counters returns them. It takes the locks of all loops, one after the other.
func (m *Media) Counters() Counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := Counters{Legs: len(m.legs), Refused: make(map[string]uint64), OneWay: make(map[string]uint64), Quality: m.quality.copy()}
	c.Ports, c.PortsFree = m.ports.size()
	for _, l := range m.loops {
		l.mu.Lock()
		t := l.tally
		l.mu.Unlock()
		c.Relayed += t.relayed
		c.Stopped += t.stopped
		c.Unsecured += t.unsecured
		for i, n := range t.refused {
			c.Refused[whyNames[i]] += n
		}
		for i, n := range t.oneWay {
			c.OneWay[muteNames[i]] += n
		}
	}
	return c
}

// Distribution is how many of something were at most as great as each bound.
type Distribution struct {
	Count  uint64
	Sum    float64
	Bounds []float64
	UpTo   []uint64 // of all up to the bound of the same place
}

var (
	delays = []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1}
	shares = []float64{0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5}
)

func newQuality() Quality {
	of := func(bounds []float64) Distribution {
		return Distribution{Bounds: bounds, UpTo: make([]uint64, len(bounds))}
	}
	return Quality{Jitter: of(delays), JitterThere: of(delays), Loss: of(shares), LossThere: of(shares), RoundTrip: of(delays)}
}

// add takes a leg that has ended.
func (q *Quality) add(r telephony.MediaReport) {
	if r.Received == 0 {
		return
	}
	q.Jitter.add(r.Jitter.Seconds())
	q.Loss.add(share(r.Lost, r.Received+r.Lost))
	if r.RoundTrip > 0 { // the phone has reported
		q.RoundTrip.add(r.RoundTrip.Seconds())
		q.JitterThere.add(r.JitterThere.Seconds())
		q.LossThere.add(share(r.LostThere, r.Sent))
	}
}

func share(part, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return min(1, float64(part)/float64(of))
}

func (d *Distribution) add(v float64) {
	d.Count++
	d.Sum += v
	for i := len(d.Bounds) - 1; i >= 0 && v <= d.Bounds[i]; i-- {
		d.UpTo[i]++
	}
}

func (q *Quality) copy() Quality {
	c := *q
	for _, d := range []*Distribution{&c.Jitter, &c.JitterThere, &c.Loss, &c.LossThere, &c.RoundTrip} {
		d.UpTo = append([]uint64(nil), d.UpTo...)
	}
	return c
}
