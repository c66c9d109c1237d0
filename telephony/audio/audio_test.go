package audio_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"demarc/telephony/audio"
)

// level returns the power of a frequency in samples, in dB of a full sine (Goertzel).
func level(samples []int16, hertz float64) float64 {
	k := 2 * math.Cos(2*math.Pi*hertz/audio.Rate)
	var a, b float64
	for _, s := range samples {
		a, b = float64(s)+k*a-b, a
	}
	power := (a*a + b*b - k*a*b) / (float64(len(samples)) * float64(len(samples)) / 4)
	return 10 * math.Log10(power/(32767*32767)+1e-12)
}

func sine(hertz, amplitude float64, samples int) []int16 {
	out := make([]int16, samples)
	for i := range out {
		out[i] = int16(amplitude * math.Sin(2*math.Pi*hertz*float64(i)/audio.Rate))
	}
	return out
}

// TestTheDigitalMilliwatt holds both codings against the sequences of G.711 (tables 5 and 6): 1000 Hz at 0 dBm0, which is 3.14 dB
// (A-law) and 3.17 dB (µ-law) below a full sine.
func TestTheDigitalMilliwatt(t *testing.T) {
	for _, c := range []struct {
		law      audio.Law
		sequence []byte
		below    float64
	}{
		{audio.ALaw, []byte{0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4}, 3.14},
		{audio.MuLaw, []byte{0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e}, 3.17},
	} {
		samples := c.law.Decode(nil, bytes.Repeat(c.sequence, 100))
		if got := level(samples, 1000); math.Abs(got+c.below) > 0.1 {
			t.Errorf("%s: 0 dBm0 is %.2f dB", c.law, got)
		}
		if got := c.law.Encode(nil, samples); !bytes.Equal(got, bytes.Repeat(c.sequence, 100)) {
			t.Errorf("%s: coded again it is % x", c.law, got[:8])
		}
	}
}

// TestDecisionValues holds single codes against tables 1 and 2 of G.711; A-law values are shifted by 3, µ-law ones by 2.
func TestDecisionValues(t *testing.T) {
	for _, c := range []struct {
		law   audio.Law
		code  byte
		value int16
	}{
		{audio.ALaw, 0xaa, 4032 << 3}, {audio.ALaw, 0x2a, -4032 << 3}, {audio.ALaw, 0xd5, 1 << 3}, {audio.ALaw, 0x55, -1 << 3},
		{audio.ALaw, 0xa5, 2112 << 3}, {audio.ALaw, 0xb5, 1056 << 3}, {audio.ALaw, 0x85, 528 << 3}, {audio.ALaw, 0x95, 264 << 3},
		{audio.ALaw, 0xe5, 132 << 3}, {audio.ALaw, 0xf5, 66 << 3}, {audio.ALaw, 0xc5, 33 << 3},
		{audio.MuLaw, 0x80, 8031 << 2}, {audio.MuLaw, 0x00, -8031 << 2}, {audio.MuLaw, 0xff, 0}, {audio.MuLaw, 0xfe, 2 << 2},
		{audio.MuLaw, 0x8f, 4191 << 2}, {audio.MuLaw, 0x9f, 2079 << 2}, {audio.MuLaw, 0xaf, 1023 << 2}, {audio.MuLaw, 0xbf, 495 << 2},
		{audio.MuLaw, 0xcf, 231 << 2}, {audio.MuLaw, 0xdf, 99 << 2}, {audio.MuLaw, 0xef, 33 << 2},
	} {
		if got := c.law.Decode(nil, []byte{c.code}); got[0] != c.value {
			t.Errorf("%s %#02x is %d, not %d", c.law, c.code, got[0], c.value)
		}
	}
}

func TestEveryCodeSurvives(t *testing.T) {
	for _, law := range []audio.Law{audio.ALaw, audio.MuLaw} {
		for code := range 256 {
			want := byte(code)
			if law == audio.MuLaw && code == 0x7f {
				want = 0xff // of its two zeros one is used
			}
			if got := law.Encode(nil, law.Decode(nil, []byte{byte(code)})); got[0] != want {
				t.Errorf("%s %#02x comes back as %#02x", law, code, got[0])
			}
		}
		for v := -32768; v < 32768; v++ {
			got := int(law.Decode(nil, law.Encode(nil, []int16{int16(v)}))[0])
			if off := got - v; math.Abs(float64(off)) > max(8, (math.Abs(float64(v))+132)/32, math.Abs(float64(v))-32124) {
				t.Fatalf("%s: %d comes back as %d", law, v, got)
			}
		}
	}
	if law, ok := audio.LawNamed("pcma"); !ok || law != audio.ALaw {
		t.Error("names of codecs are read without case")
	}
	if _, ok := audio.LawNamed("G722"); ok {
		t.Error("G722 is no G.711")
	}
}

func wav(rate, width, channels, coding int, samples []int16) []byte {
	var data []byte
	for _, s := range samples {
		if width == 8 {
			data = append(data, byte(int(s>>8)+128))
		} else {
			data = binary.LittleEndian.AppendUint16(data, uint16(s))
		}
	}
	b := append([]byte("RIFF\x00\x00\x00\x00WAVE"), "LIST\x03\x00\x00\x00abc\x00"...) // a chunk of odd size
	b = append(b, "fmt \x10\x00\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(coding))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*width/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(width/8))
	b = binary.LittleEndian.AppendUint16(b, uint16(width))
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func TestWAVFilesAreRead(t *testing.T) {
	eight := sine(1000, 10000, 8000)
	sixteen := make([]int16, 16000)
	for i := range sixteen {
		sixteen[i] = int16(10000*math.Sin(2*math.Pi*1000*float64(i)/16000) + 10000*math.Sin(2*math.Pi*6000*float64(i)/16000))
	}
	want := level(eight, 1000)
	for name, file := range map[string][]byte{
		"8000 Hz, 16 bits": wav(8000, 16, 1, 1, eight), "8000 Hz, 8 bits": wav(8000, 8, 1, 1, eight), "16000 Hz": wav(16000, 16, 1, 1, sixteen),
	} {
		samples, err := audio.ReadWAV(file)
		if err != nil || len(samples) != 8000 {
			t.Errorf("%s: %d samples, %v", name, len(samples), err)
			continue
		}
		if got := level(samples, 1000); math.Abs(got-want) > 0.3 {
			t.Errorf("%s: 1000 Hz at %.1f dB, not %.1f", name, got, want)
		}
		if got := level(samples, 2000); got > want-30 {
			t.Errorf("%s: 6000 Hz came through as 2000 Hz at %.1f dB", name, got)
		}
		for n := range 56 {
			if _, err := audio.ReadWAV(file[:n]); !errors.Is(err, audio.ErrWAV) {
				t.Errorf("%s cut at %d: %v", name, n, err)
			}
		}
	}
	for name, file := range map[string][]byte{
		"stereo": wav(8000, 16, 2, 1, eight), "44100 Hz": wav(44100, 16, 1, 1, eight), "ADPCM": wav(8000, 16, 1, 2, eight), "nonsense": []byte("hello"),
	} {
		if _, err := audio.ReadWAV(file); !errors.Is(err, audio.ErrWAV) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTonesAndMusic(t *testing.T) {
	for name, hertz := range map[string]float64{"dial": 425, "ringing": 425, "busy": 425, "congestion": 425, "beep": 1400} {
		samples, ok := audio.Tone(name)
		if !ok || level(samples[:1600], hertz) < -14 {
			t.Errorf("%s: %t, %.1f dB", name, ok, level(samples[:1600], hertz))
		}
	}
	if _, ok := audio.Tone("music"); ok {
		t.Error("music is no tone")
	}
	music := audio.Music()
	peak := int16(0)
	for _, s := range music {
		peak = max(peak, s, -s)
	}
	if seconds := len(music) / audio.Rate; seconds < 10 || peak < 2000 || peak > 20000 {
		t.Errorf("%d s of music, peak %d", seconds, peak)
	}
	if step := music[0] - music[len(music)-1]; step > 1000 || step < -1000 {
		t.Errorf("a click of %d where it begins again", step)
	}
}

func TestAnEarPutsPacketsInOrder(t *testing.T) {
	said := sine(500, 8000, 40*audio.Frame)
	for name, order := range map[string][]int{"in order": {0, 1, 2, 3}, "late by one": {1, 0, 3, 2}} {
		t.Run(name, func(t *testing.T) {
			var e audio.Ear
			var heard []int16
			var frame [audio.Frame]int16
			const first = 1<<32 - 5*audio.Frame // over the turn of the timestamps
			for block := range 10 {
				for _, n := range order {
					at := (4*block + n) * audio.Frame
					e.Put(uint32(first+at), said[at:at+audio.Frame])
					if e.Take(&frame) {
						heard = append(heard, frame[:]...)
					}
				}
			}
			if got, want := level(heard[4*audio.Frame:36*audio.Frame], 500), level(said[:32*audio.Frame], 500); math.Abs(got-want) > 0.1 {
				t.Errorf("heard at %.1f dB, said at %.1f", got, want)
			}
		})
	}
	var e audio.Ear
	var frame [audio.Frame]int16
	e.Put(5, said[:audio.Frame])
	for range 3 {
		if !e.Take(&frame) {
			t.Fatal("dry before its time")
		}
	}
	if frame != [audio.Frame]int16(said[:audio.Frame]) {
		t.Error("what came is not what is heard after the delay")
	}
	if e.Take(&frame) {
		t.Error("not dry when nothing is left")
	}
	e.Put(5, make([]int16, 100*audio.Frame)) // far longer than an ear: no panic
}

func TestAMixLeavesTheSpeakerOut(t *testing.T) {
	var mix audio.Mix
	one, other, loud := [audio.Frame]int16{100}, [audio.Frame]int16{30}, [audio.Frame]int16{32000, 32000}
	mix.Add(&one)
	mix.Add(&other)
	var heard [audio.Frame]int16
	if mix.Without(&one, &heard); heard[0] != 30 {
		t.Errorf("hears %d", heard[0])
	}
	mix.Add(&loud)
	mix.Add(&loud)
	if mix.Without(nil, &heard); heard[0] != 32767 || heard[1] != 32767 {
		t.Errorf("overflows to %d", heard[0])
	}
}

func FuzzWAV(f *testing.F) {
	f.Add(wav(16000, 16, 1, 1, sine(100, 100, 10)))
	f.Fuzz(func(t *testing.T, file []byte) {
		if samples, err := audio.ReadWAV(file); err == nil && len(samples) > len(file) {
			t.Errorf("%d samples of %d bytes", len(samples), len(file))
		}
	})
}
