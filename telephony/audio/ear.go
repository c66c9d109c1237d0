package audio

// Frame is the samples that are mixed at once: 20 ms.
const Frame = Rate / 50

// An ear holds up to earSize samples, and starts with earDelay of them, so that packets that come late by less are no gap.
const (
	earSize  = 8 * Frame
	earDelay = 2 * Frame
)

// Ear puts what one speaker sends in the order of its timestamps, and gives it back frame by frame.
type Ear struct {
	ring  [earSize]int16
	head  int    // where start is in the ring
	start uint32 // timestamp of the next sample to take
	held  int    // samples from start up to the newest
	on    bool
}

// Put takes the samples of a packet. Late ones and a clock that jumps begin the ear anew, which is a short gap.
func (e *Ear) Put(stamp uint32, samples []int16) {
	at := int(int32(stamp - e.start))
	if !e.on || at < 0 || at+len(samples) > earSize {
		*e = Ear{start: stamp - earDelay, on: true}
		at = earDelay
	}
	if at+len(samples) > earSize {
		return // longer than any packet of speech
	}
	for i, s := range samples {
		e.ring[(e.head+at+i)%earSize] = s
	}
	e.held = max(e.held, at+len(samples))
}

// Take fills the frame; what has not come is silence. It reports whether anything was there: an ear that has run dry starts
// with its delay again.
func (e *Ear) Take(frame *[Frame]int16) bool {
	if !e.on {
		return false
	}
	for i := range frame {
		n := (e.head + i) % earSize
		frame[i], e.ring[n] = e.ring[n], 0
	}
	e.head = (e.head + Frame) % earSize
	e.start += Frame
	e.held -= Frame
	if e.held <= 0 {
		e.on = false
	}
	return true
}

// Mix is the sum of what is said.
type Mix [Frame]int32

// Add adds a speaker.
func (m *Mix) Add(frame *[Frame]int16) {
	for i, s := range frame {
		m[i] += int32(s)
	}
}

// Without returns what everybody but one speaker says; nil leaves nobody out.
func (m *Mix) Without(own, heard *[Frame]int16) {
	for i, sum := range m {
		if own != nil {
			sum -= int32(own[i])
		}
		heard[i] = clamp(int(sum))
	}
}
