package audio

import (
	"math"
	"strings"
)

// Tone returns one period of a call progress tone as it is heard in most of Europe (ITU-T E.180): dial, ringing, busy, congestion,
// beep. ok is false for other names.
func Tone(name string) (samples []int16, ok bool) {
	const ms = Rate / 1000
	switch name {
	case "dial":
		return sound(425, 1000*ms), true // 425 whole waves: its end meets its beginning
	case "ringing":
		return append(sound(425, 1000*ms), make([]int16, 4000*ms)...), true
	case "busy":
		return append(sound(425, 480*ms), make([]int16, 480*ms)...), true
	case "congestion":
		return append(sound(425, 240*ms), make([]int16, 240*ms)...), true
	case "beep":
		return sound(1400, 200*ms), true
	}
	return nil, false
}

// sound is a sine at -10 dBm0.
func sound(hertz float64, samples int) []int16 {
	out := make([]int16, samples)
	for i := range out {
		out[i] = int16(0.22 * 32767 * math.Sin(2*math.Pi*hertz*float64(i)/Rate))
	}
	return out
}

// melody is the default music on hold: notes as half tones above A3 in letters from a, a dot for each further beat, a dash for
// a rest.
const melody = "d.h.k.h.m.k.h.f. d.f.h.k.h..-f..- a.d.h.d.k.h.f.d. f.h.f.d.a..-d..-" +
	"i.m.p.m.k.h.d.h. i.k.m.p.m..-k..- d.h.k.p.m.k.h.f. h.f.d.a.d...-..."

// Music returns the default music on hold, whose end meets its beginning: plucked strings, quiet enough to talk over.
func Music() []int16 {
	const beat = Rate * 200 / 1000
	score := strings.ReplaceAll(melody, " ", "")
	out := make([]int, len(score)*beat)
	for at, c := range score {
		if c == '.' || c == '-' {
			continue
		}
		pluck(out, at*beat, 220*math.Pow(2, float64(c-'a')/12))
	}
	samples := make([]int16, len(out))
	for i, v := range out {
		samples[i] = clamp(v)
	}
	return samples
}

// pluck adds a string that fades within a second and a half: three sines that die away, each from its last two samples.
func pluck(out []int, from int, hertz float64) {
	const fade = 0.99956 // per sample: e^-3.5 per second
	for partial, amplitude := range []float64{2600, 1040, 390} {
		turn := 2 * math.Pi * hertz * float64(partial+1) / Rate
		k := 2 * fade * math.Cos(turn)
		before, now := 0.0, amplitude*math.Sin(turn)
		for i := range Rate * 3 / 2 {
			out[(from+i)%len(out)] += int(before)
			before, now = now, k*now-fade*fade*before
		}
	}
}
