package sdp

import (
	"fmt"
	"slices"
	"strconv"
)

// Side is what we know of a leg's media when a description is to be written: all of it is part of the leg's state.
type Side struct {
	Local   Local
	Session uint64       // of o=: chosen at random when the leg begins
	Last    []byte       // what we wrote last on this leg, refused or not; nil at first
	Theirs  *Description // what the phone wrote in the last completed offer and answer; nil before
	Agreed  Agreed       // what was agreed by that; zero before
}

// Offering is what we want of a leg.
type Offering struct {
	Security  Security
	Either    bool      // beside the keys of SDES stands a fingerprint, for a phone that may know DTLS alone
	Direction Direction // as we see it
	Codecs    []Codec   // audio, best first; telephone-event is added; the payload types are chosen here
	Video     []Codec   // none: no video is offered
	Ptime     int       // ms; 0: not said
}

// Offer writes an offer, and returns what it says as well: who takes the answer need not read it. It fails when the media was
// opened without what it needs.
func (s *Side) Offer(o Offering) ([]byte, *Description, error) {
	if s.Local.Audio.RTP == 0 || len(o.Codecs) == 0 {
		return nil, nil, fmt.Errorf("an offer needs a port and a codec for audio: %d and %d are there",
			s.Local.Audio.RTP, len(o.Codecs))
	}
	var room [2]written
	media := s.slots(room[:0])
	audio, err := s.offered("audio", s.Local.Audio, o.Codecs, o)
	if err != nil {
		return nil, nil, err
	}
	media = s.place(media, audio)
	if len(o.Video) > 0 && s.Local.Video.RTP != 0 {
		video, err := s.offered("video", s.Local.Video, o.Video, o)
		if err != nil {
			return nil, nil, err
		}
		media = s.place(media, video)
	}
	var bundle []string
	if o.Security == DTLS { // browsers want one; more than the first line would have to share its port
		i := slices.IndexFunc(media, func(m written) bool { return m.kind == "audio" && m.line.RTP != 0 })
		bundle = []string{media[i].mid}
	}
	text, version := s.write(media, bundle)
	return text, s.says(version, media, bundle), nil
}

// slots returns the lines of the session so far, all refused: no line ever goes away (RFC 3264 §8).
func (s *Side) slots(room []written) []written {
	if s.Theirs == nil {
		return room
	}
	return refused(room, s.Theirs)
}

// place puts a line where the session has it already, else where one of its kind was, else at the end.
func (s *Side) place(media []written, line written) []written {
	at := s.live(line.kind)
	if at < 0 {
		at = slices.IndexFunc(media, func(m written) bool { return m.kind == line.kind })
	}
	if at < 0 {
		at = len(media)
		media = append(media, written{})
	}
	if line.mid = media[at].mid; line.mid == "" && line.mux {
		line.mid = freeMid(media, at)
	}
	media[at] = line
	return media
}

// live returns which line of the session is in use for a kind of media, or -1: the one that neither side refused.
func (s *Side) live(kind string) int {
	ours, err := Parse(s.Last)
	if err != nil || s.Theirs == nil {
		return -1
	}
	for i, m := range s.Theirs.Media {
		if m.Kind == kind && m.Remote.Port() != 0 && i < len(ours.Media) && ours.Media[i].Remote.Port() != 0 {
			return i
		}
	}
	return -1
}

// freeMid names a line by its place, as browsers do, or by the next number that no other line has.
func freeMid(media []written, at int) string {
	for n := at; ; n++ {
		mid := strconv.Itoa(n)
		if !slices.ContainsFunc(media, func(m written) bool { return m.mid == mid }) {
			return mid
		}
	}
}

func (s *Side) offered(kind string, line Line, codecs []Codec, o Offering) (written, error) {
	w := written{kind: kind, line: line, direction: o.Direction.And(SendRecv), codecs: s.number(kind, codecs)}
	if kind == "audio" {
		w.ptime = o.Ptime
	}
	switch o.Security {
	case Plain:
		w.profile = "RTP/AVP"
	case SDES:
		w.profile, w.keys = "RTP/SAVP", line.Keys
		if len(w.keys) == 0 {
			return w, fmt.Errorf("the %s line was opened without keys", kind)
		}
		if o.Either {
			w.setup = "actpass"
		}
	case DTLS:
		w.profile, w.setup, w.mux, w.ice = "UDP/TLS/RTP/SAVPF", "actpass", true, line.Ufrag != ""
	default:
		return w, fmt.Errorf("%q is no protection that can be offered", o.Security)
	}
	if w.setup != "" && s.Local.Fingerprint.Value == "" {
		return w, fmt.Errorf("the %s line was opened without a fingerprint", kind)
	}
	if i := s.live(kind); i >= 0 && s.goesOn(s.Theirs.Media[i].Profile, o.Security) {
		w.profile = s.Theirs.Media[i].Profile // as this phone writes it
	}
	return w, nil
}

// goesOn reports whether a profile of the phone's still says what is offered: DTLS stands in RTP/SAVP too where it was agreed.
func (s *Side) goesOn(theirs string, offered Security) bool {
	before := profile(theirs)
	return before == offered || before == SDES && offered == DTLS && s.Agreed.Security == DTLS
}

// events are the digits (RFC 4733 §3.2).
const events = "0-15"

// digits is telephone-event as we offer it; one, because who is offered several may use any of them.
var digits = [...]Codec{{Payload: 101, Name: event, Rate: eventRate, Channels: 1, Params: events}}

// number gives codecs, and telephone-event beside those of audio, the payload types that this leg has for them, or else their
// usual ones. A number never comes to mean something else than in the last descriptions (RFC 3264 §8.3.2).
func (s *Side) number(kind string, codecs []Codec) []Codec {
	var known []Codec
	if ours, err := Parse(s.Last); err == nil {
		known = append(known, codecsOf(ours, kind)...)
	}
	known = append(known, codecsOf(s.Theirs, kind)...)
	var taken [128]bool
	for i := range known {
		taken[known[i].Payload] = true
	}
	numbered := make([]Codec, 0, len(codecs)+len(digits))
	add := func(codecs []Codec) {
		for i := range codecs {
			c := &codecs[i]
			if indexOf(numbered, c) >= 0 {
				continue
			}
			payload := uint8(0)
			if i := indexOf(known, c); i >= 0 {
				payload = known[i].Payload
			} else {
				payload = free(usual(c), &taken)
			}
			taken[payload] = true
			numbered = append(numbered, *c)
			numbered[len(numbered)-1].Payload = payload
		}
	}
	add(codecs)
	if kind == "audio" {
		add(digits[:])
	}
	return numbered
}

// codecsOf returns the codecs of all lines of a kind.
func codecsOf(d *Description, kind string) []Codec {
	var all []Codec
	if d == nil {
		return nil
	}
	for _, m := range d.Media {
		if m.Kind == kind {
			all = append(all, m.Codecs...)
		}
	}
	return all
}

// usual returns our own number for a codec, or what the other side of the call has for it.
func usual(c *Codec) uint8 {
	if i := indexOf(passed[:], c); i >= 0 {
		return passed[i].Payload
	}
	return c.Payload
}

// free returns a payload type that nothing else has: the wanted one, or one of the dynamic range.
func free(wanted uint8, taken *[128]bool) uint8 {
	if !taken[wanted] {
		return wanted
	}
	for n := uint8(96); n < 128; n++ {
		if !taken[n] {
			return n
		}
	}
	for n := uint8(35); n < 64; n++ { // the dynamic range's overflow (RFC 3551 §3), 64 to 95 being RTCP's when multiplexed
		if !taken[n] {
			return n
		}
	}
	return wanted
}
