package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrWAV tells that a file is no WAV that can be played.
var ErrWAV = errors.New("not a WAV file that can be played (PCM of 8 or 16 bits, mono, 8000 or 16000 Hz)")

// WAV formats (RFC 2361, and WAVE_FORMAT_EXTENSIBLE, whose first two bytes of the sub-format are the same numbers).
const (
	wavPCM        = 1
	wavExtensible = 0xfffe
)

// ReadWAV returns the samples of a file.
func ReadWAV(file []byte) ([]int16, error) {
	if len(file) < 12 || string(file[:4]) != "RIFF" || string(file[8:12]) != "WAVE" {
		return nil, fmt.Errorf("%w: no RIFF header", ErrWAV)
	}
	var format, sound []byte
	for rest := file[12:]; len(rest) >= 8; {
		size := int(binary.LittleEndian.Uint32(rest[4:]))
		body := rest[8:]
		size = min(size, len(body)) // a recorder that was cut off did not fill the size in
		switch string(rest[:4]) {
		case "fmt ":
			format = body[:size]
		case "data":
			sound = body[:size]
		}
		rest = body[min(size+size%2, len(body)):]
	}
	return readSound(format, sound)
}

func readSound(format, sound []byte) ([]int16, error) {
	if len(format) < 16 || sound == nil {
		return nil, fmt.Errorf("%w: no format or no sound in it", ErrWAV)
	}
	coding, channels := binary.LittleEndian.Uint16(format), binary.LittleEndian.Uint16(format[2:])
	if coding == wavExtensible && len(format) >= 26 {
		coding = binary.LittleEndian.Uint16(format[24:])
	}
	rate, width := binary.LittleEndian.Uint32(format[4:]), binary.LittleEndian.Uint16(format[14:])
	if coding != wavPCM || channels != 1 || rate != Rate && rate != 2*Rate || width != 8 && width != 16 {
		return nil, fmt.Errorf("%w: format %d, %d channels, %d Hz, %d bits", ErrWAV, coding, channels, rate, width)
	}
	samples := pcm(sound, int(width))
	if rate == 2*Rate {
		samples = halve(samples)
	}
	return samples, nil
}

func pcm(sound []byte, width int) []int16 {
	if width == 8 { // without sign
		samples := make([]int16, len(sound))
		for i, b := range sound {
			samples[i] = int16(int(b)-128) << 8
		}
		return samples
	}
	samples := make([]int16, len(sound)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(sound[2*i:]))
	}
	return samples
}

// halve takes every second sample of a file with 16000 a second, after what 8000 cannot carry was filtered away: a windowed
// half-band low pass, whose every second coefficient but the middle one is zero.
func halve(in []int16) []int16 {
	side := [...]int{10210, -2965, 1345, -610, 250, -80} // of 32768, at distances 1, 3, 5 …
	const middle = 16384
	at := func(i int) int {
		if i < 0 || i >= len(in) {
			return 0
		}
		return int(in[i])
	}
	out := make([]int16, len(in)/2)
	for n := range out {
		sum := middle * at(2*n)
		for k, c := range side {
			sum += c * (at(2*n-2*k-1) + at(2*n+2*k+1))
		}
		out[n] = clamp(sum >> 15)
	}
	return out
}

func clamp(v int) int16 { return int16(max(-1<<15, min(1<<15-1, v))) }
