package sdp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// event is what DTMF is carried in (RFC 4733).
const (
	event     = "telephone-event"
	eventRate = 8000
)

// passed are the audio codecs that we pass through, best first, with our own payload types. All but Opus are static: they
// need no a=rtpmap (RFC 3551 §6).
var passed = [...]Codec{
	{Payload: 111, Name: "opus", Rate: 48000, Channels: 2, Params: "minptime=10;useinbandfec=1"},
	{Payload: 9, Name: "G722", Rate: 8000, Channels: 1}, // samples at 16 kHz, by an old error (RFC 3551 §4.5.2)
	{Payload: 8, Name: "PCMA", Rate: 8000, Channels: 1},
	{Payload: 0, Name: "PCMU", Rate: 8000, Channels: 1},
	{Payload: 18, Name: "G729", Rate: 8000, Channels: 1},
}

// static returns the codec of a payload type that needs no a=rtpmap.
func static(payload uint8) Codec {
	for _, c := range passed[1:] {
		if c.Payload == payload {
			return c
		}
	}
	return Codec{Payload: payload}
}

// Passed returns the audio codecs that we pass through, best first: what to offer when nobody has offered anything yet.
func Passed() []Codec { return slices.Clone(passed[:]) }

// Music returns the codecs of announcements, music and mixing.
func Music() []Codec { return []Codec{static(8), static(0)} }

// Common returns those of the codecs that we pass through, each once, in their order, or nil: what to offer to the other side of
// a call.
func Common(offered []Codec) []Codec { return AppendCommon(nil, offered) }

// AppendCommon appends what Common returns, but for what stands in all already.
func AppendCommon(all, offered []Codec) []Codec {
	for i := range offered {
		if c := &offered[i]; passes(c) && indexOf(all, c) < 0 {
			all = append(all, *c)
		}
	}
	return all
}

// passes reports whether we pass a codec through.
func passes(c *Codec) bool { return indexOf(passed[:], c) >= 0 }

// indexOf returns where a codec stands among others, or -1. Codecs are large to be handed about by value.
func indexOf(all []Codec, c *Codec) int {
	for i := range all {
		if all[i].Same(c) {
			return i
		}
	}
	return -1
}

// Is reports whether both are the same codec, whatever their numbers and their parameters; of video, whether what one sends
// the other can read.
func (c Codec) Is(other Codec) bool { return c.Same(&other) }

// Same is Is for codecs that are not to be copied.
func (c *Codec) Same(other *Codec) bool {
	if c.Rate != other.Rate || max(c.Channels, 1) != max(other.Channels, 1) || !strings.EqualFold(c.Name, other.Name) {
		return false
	}
	if c.Rate != 90000 {
		return true
	}
	for _, p := range []struct{ name, unsaid string }{{"packetization-mode", "0"}, {"profile-id", "0"}} {
		if c.param(p.name, p.unsaid) != other.param(p.name, p.unsaid) {
			return false
		}
	}
	const baseline = "42000a" // H.264's (RFC 6184 §8.1); the level after the first four digits may differ
	level, level2 := c.param("profile-level-id", baseline), other.param("profile-level-id", baseline)
	return len(level) == 6 && len(level2) == 6 && strings.EqualFold(level[:4], level2[:4])
}

// String returns the codec as a=rtpmap names it, e.g. "opus/48000/2".
func (c Codec) String() string {
	name := c.Name + "/" + strconv.Itoa(c.Rate)
	if c.Channels > 1 {
		name += "/" + strconv.Itoa(c.Channels)
	}
	return name
}

// param returns a parameter of a=fmtp.
func (c Codec) param(name, unsaid string) string {
	for p := range strings.SplitSeq(c.Params, ";") {
		if key, value, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(key, name) {
			return value
		}
	}
	return unsaid
}

// Offers reports whether a media line holds the codec.
func (m *Media) Offers(c Codec) bool { return m != nil && indexOf(m.Codecs, &c) >= 0 }

// event returns the telephone-event to use: of 8000 Hz, or else any. RFC 4733 §2.1 would have the clock of the codec, but
// some phones know 8000 Hz alone, beside Opus too, and others that offer both use that one all the same (Chromium); with one
// clock for all, the events of one leg are good for the other.
func (m *Media) event() (Codec, bool) {
	var found Codec
	for _, c := range m.Codecs {
		if strings.EqualFold(c.Name, event) && (found.Name == "" || c.Rate == eventRate && found.Rate != eventRate) {
			found = c
		}
	}
	return found, found.Name != ""
}

// readFormats keeps the payload types of an m= line; each once.
func (s *section) readFormats(formats []string) {
	s.codecs = make([]Codec, 0, len(formats))
	for _, f := range formats {
		payload, err := strconv.ParseUint(f, 10, 7)
		if err != nil || s.codec(payload) != nil {
			continue
		}
		codec := Codec{Payload: uint8(payload)}
		if s.Kind == "audio" {
			codec = static(codec.Payload)
		}
		s.codecs = append(s.codecs, codec)
	}
}

// codec returns the one with a payload type, or nil.
func (s *section) codec(payload uint64) *Codec {
	for i := range s.codecs {
		if uint64(s.codecs[i].Payload) == payload {
			return &s.codecs[i]
		}
	}
	return nil
}

// of finds the codec that an attribute speaks of, and the rest of its value. It is nil for one that the m= line lacks.
func (s *section) of(value string) (*Codec, string, error) {
	number, rest, _ := strings.Cut(value, " ")
	payload, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		return nil, "", fmt.Errorf("%q is not a payload type", shorten(number))
	}
	return s.codec(payload), strings.TrimSpace(rest), nil
}

// rtpmap names a codec. One whose name cannot be read is as if it were not offered: RFC 4475 has such in valid messages.
func (s *section) rtpmap(value string) error {
	codec, text, err := s.of(value)
	if err != nil {
		return fmt.Errorf("a=rtpmap: %w", err)
	}
	if codec != nil {
		codec.Name, codec.Rate, codec.Channels = encoding(text)
	}
	return nil
}

// encoding reads name/rate, perhaps with /channels. The name is empty when that is not what it is.
func encoding(text string) (name string, rate, channels int) {
	var room [4]string
	parts := room[:0]
	for part := range strings.SplitSeq(text, "/") {
		parts = append(parts, part)
	}
	if len(parts) < 2 || len(parts) > 3 || !token(parts[0]) {
		return "", 0, 0
	}
	hertz, err := strconv.ParseUint(parts[1], 10, 20)
	tracks := uint64(1)
	if err == nil && len(parts) == 3 {
		tracks, err = strconv.ParseUint(parts[2], 10, 8)
	}
	if err != nil || hertz == 0 || tracks == 0 {
		return "", 0, 0
	}
	return parts[0], int(hertz), int(tracks)
}

func (s *section) fmtp(value string) error {
	codec, text, err := s.of(value)
	if err != nil {
		return fmt.Errorf("a=fmtp: %w", err)
	}
	if !printable(text) {
		return fmt.Errorf("a=fmtp: the parameters hold what is no printable ASCII, or over %d characters", maxParams)
	}
	if codec != nil {
		codec.Params = text
	}
	return nil
}

// feedback reads a=rtcp-fb (RFC 4585 §4.2), which the other side of a video call needs to ask for a picture. What needs a
// header extension (transport-cc) is left out, because none is agreed to.
func (s *section) feedback(value string) {
	number, text, _ := strings.Cut(value, " ")
	if s.Kind != "video" || !printable(text) || text == "" || text == "transport-cc" {
		return
	}
	const most = 16
	for i := range s.codecs {
		c := &s.codecs[i]
		if (number == "*" || number == strconv.Itoa(int(c.Payload))) && len(c.Feedback) < most {
			c.Feedback = append(c.Feedback, text)
		}
	}
}

const maxParams = 1024

// printable reports whether s is printable ASCII, and not too long to be repeated.
func printable(s string) bool {
	return len(s) <= maxParams && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
