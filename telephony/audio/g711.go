package audio

import "math/bits"

// Rate is the samples per second of everything here.
const Rate = 8000

// Law is one of the two codings of G.711, by its name in SDP.
type Law string

// The codings.
const (
	ALaw  Law = "PCMA"
	MuLaw Law = "PCMU"
)

// LawNamed returns the coding of that name in SDP; ok is false for other codecs.
func LawNamed(name string) (law Law, ok bool) {
	for _, l := range []Law{ALaw, MuLaw} {
		if len(name) == len(l) && upper(name) == string(l) {
			return l, true
		}
	}
	return "", false
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}

// Encode appends the samples in the coding.
func (l Law) Encode(dst []byte, samples []int16) []byte {
	if l == ALaw {
		for _, s := range samples {
			dst = append(dst, toALaw(s))
		}
		return dst
	}
	for _, s := range samples {
		dst = append(dst, toMuLaw(s))
	}
	return dst
}

// Decode appends the samples of a coding.
func (l Law) Decode(dst []int16, coded []byte) []int16 {
	if l == ALaw {
		for _, c := range coded {
			dst = append(dst, fromALaw(c))
		}
		return dst
	}
	for _, c := range coded {
		dst = append(dst, fromMuLaw(c))
	}
	return dst
}

// The sample of 16 bits is the value of G.711 shifted to the left: of A-law (13 bits) by 3, of µ-law (14 bits) by 2.

// fromALaw follows G.711 table 1: even bits are inverted, the sign bit is set for positive values.
func fromALaw(c byte) int16 {
	c ^= 0x55
	value := int16(c&0x0f)<<4 + 8
	if segment := c >> 4 & 7; segment > 0 {
		value = (value + 0x100) << (segment - 1)
	}
	if c&0x80 == 0 {
		return -value
	}
	return value
}

func toALaw(sample int16) byte {
	sign, value := byte(0x80), int(sample)
	if value < 0 {
		sign, value = 0, -value-1
	}
	value >>= 4
	segment := max(0, bits.Len(uint(value))-4)
	if segment > 1 {
		value >>= segment - 1
	}
	return (sign | byte(segment)<<4 | byte(value&0x0f)) ^ 0x55
}

const muBias = 33 << 2

// fromMuLaw follows G.711 table 2: all bits are inverted, the sign bit is set for positive values.
func fromMuLaw(c byte) int16 {
	c = ^c
	value := (int(c&0x0f)<<3+muBias)<<(c>>4&7) - muBias
	if c&0x80 != 0 {
		return int16(-value)
	}
	return int16(value)
}

func toMuLaw(sample int16) byte {
	sign, value := byte(0), int(sample)
	if value < 0 {
		sign, value = 0x80, -value
	}
	value = min(value, 32635) + muBias
	segment := bits.Len(uint(value)) - 8
	return ^(sign | byte(segment)<<4 | byte(value>>(segment+3)&0x0f))
}
