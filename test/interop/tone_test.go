package interop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"testing"
	"time"
)

// Every phone of a call says a tone of its own, in Hz. They fit a whole number of times into a tenth of a second, and none
// becomes another one when samples are taken for those of another rate (8, 16 or 48 kHz).
const (
	callerTone = 440
	calleeTone = 660
	thirdTone  = 1000
)

// enough is the share of all energy in a recording that has to be the other's tone. One-way, silent, swapped or looped
// audio has none of it, two people at once half.
const enough = 0.8

// sound is what a phone heard.
type sound struct {
	rate    int
	samples []float64 // −1 to 1
}

// last returns the end of it.
func (s sound) last(d time.Duration) sound {
	if n := int(d.Seconds() * float64(s.rate)); n < len(s.samples) {
		s.samples = s.samples[len(s.samples)-n:]
	}
	return s
}

func (s sound) length() time.Duration {
	if s.rate == 0 {
		return 0
	}
	return time.Duration(len(s.samples)) * time.Second / time.Duration(s.rate)
}

// loudness is the mean power, 0.5 for the loudest tone.
func (s sound) loudness() float64 {
	var sum float64
	for _, x := range s.samples {
		sum += x * x
	}
	return sum / float64(max(1, len(s.samples)))
}

// share returns how much of the energy is at a frequency, from 0 to 1: Goertzel's filter over tenths of a second, so that
// a jump of the phase costs one of them.
func (s sound) share(hertz float64) float64 {
	size := s.rate / 10
	var at, all float64
	for from := 0; size > 0 && from+size <= len(s.samples); from += size {
		frame := s.samples[from : from+size]
		at += goertzel(frame, hertz/float64(s.rate))
		for _, x := range frame {
			all += x * x
		}
	}
	if all == 0 {
		return 0
	}
	return at / all
}

// goertzel returns the energy of samples at a frequency in cycles per sample.
func goertzel(samples []float64, frequency float64) float64 {
	c := 2 * math.Cos(2*math.Pi*frequency)
	var s1, s2 float64
	for _, x := range samples {
		s1, s2 = x+c*s1-s2, s1
	}
	return (s1*s1 + s2*s2 - c*s1*s2) * 2 / float64(len(samples))
}

// tone makes the sound of one or more frequencies together.
func tone(rate int, d time.Duration, hertz ...float64) sound {
	s := sound{rate: rate, samples: make([]float64, int(d.Seconds()*float64(rate)))}
	for i := range s.samples {
		for _, f := range hertz {
			s.samples[i] += 0.5 / float64(len(hertz)) * math.Sin(2*math.Pi*f*float64(i)/float64(rate))
		}
	}
	return s
}

// wav encodes a sound as 16 bit mono.
func (s sound) wav() []byte {
	size := uint32(2 * len(s.samples))
	var b []byte
	b = append(b, "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, 36+size)
	b = append(b, "WAVEfmt "...)
	for _, v := range []uint32{16, 1 | 1<<16, uint32(s.rate), uint32(2 * s.rate), 2 | 16<<16} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, size)
	for _, x := range s.samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(math.Round(32767*max(-1, min(1, x))))))
	}
	return b
}

// readWAV reads a file of 16 bit samples, also one that is still being written: its length is then not believed. Of two
// channels the first counts.
func readWAV(path string) (sound, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return sound{}, err
	}
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return sound{}, fmt.Errorf("%s is no WAV file", path)
	}
	var s sound
	channels := 0
	for at := 12; at+8 <= len(b); {
		kind, size := string(b[at:at+4]), int(binary.LittleEndian.Uint32(b[at+4:]))
		at += 8
		switch {
		case kind == "fmt " && at+16 <= len(b):
			channels, s.rate = int(binary.LittleEndian.Uint16(b[at+2:])), int(binary.LittleEndian.Uint32(b[at+4:]))
			if bits := binary.LittleEndian.Uint16(b[at+14:]); bits != 16 {
				return sound{}, fmt.Errorf("%s has %d bits a sample", path, bits)
			}
		case kind == "data" && channels > 0:
			s.samples = samples(b[at:], channels)
			return s, nil
		}
		at += size
	}
	return sound{}, errors.New(path + " holds no samples yet")
}

// samples reads 16 bit samples of the first channel.
func samples(b []byte, channels int) []float64 {
	var all []float64
	for ; 2*channels <= len(b); b = b[2*channels:] {
		all = append(all, float64(int16(binary.LittleEndian.Uint16(b)))/32768)
	}
	return all
}

// The judge of all calls must not be fooled itself.
func TestToneTest(t *testing.T) {
	noise := tone(8000, time.Second, callerTone)
	for i := range noise.samples { // reproducible, and as loud as the tone
		noise.samples[i] += 0.6 * math.Sin(float64(i*i)*0.7)
	}
	quiet := tone(16000, time.Second, calleeTone)
	for i := range quiet.samples {
		quiet.samples[i] /= 100
	}
	late := tone(8000, 2*time.Second, calleeTone)
	clear(late.samples[:8123])
	for _, c := range []struct {
		name   string
		sound  sound
		hertz  float64
		enough bool
	}{
		{"the tone", tone(8000, time.Second, callerTone), callerTone, true},
		{"the tone at another rate", tone(48000, time.Second, callerTone), callerTone, true},
		{"the tone, quietly", quiet, calleeTone, true},
		{"the tone after a silence", late, calleeTone, true},
		{"the other tone", tone(8000, time.Second, callerTone), calleeTone, false},
		{"both tones", tone(8000, time.Second, callerTone, calleeTone), callerTone, false},
		{"silence", sound{rate: 8000, samples: make([]float64, 8000)}, callerTone, false},
		{"nothing", sound{}, callerTone, false},
		{"noise over the tone", noise, callerTone, false},
	} {
		if got := c.sound.share(c.hertz); (got >= enough) != c.enough || got > 1.01 {
			t.Errorf("%s: %.3f of the energy is at %g Hz", c.name, got, c.hertz)
		}
	}
	path := write(t, t.TempDir(), "tone.wav", string(tone(8000, time.Second, thirdTone).wav()))
	if s, err := readWAV(path); err != nil || s.rate != 8000 || s.length() != time.Second || s.share(thirdTone) < 0.99 {
		t.Errorf("%v: %v of sound, %.3f of it the tone", err, s.length(), s.share(thirdTone))
	}
}
