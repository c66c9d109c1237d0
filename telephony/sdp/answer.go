package sdp

import (
	"fmt"
	"net/netip"
	"slices"
)

// Wanted is what an answer may hold.
type Wanted struct {
	Direction Direction // as we see it; the answer narrows it to what the offer allows (RFC 3264 §6.1)
	Codecs    []Codec   // audio: the offer's first that is here is taken; nil: its first that we pass through
	Video     []Codec   // the same for video; nil: video is refused
	Ptime     int       // ms; 0: not said
}

// Answer writes the answer to an offer, and says what is agreed by it: one codec, and telephone-event where it was
// offered; every line but those is refused. The same offer and wish give the same bytes once they are in Last. It is
// ErrUnacceptable when nothing can be agreed.
func (s *Side) Answer(t Terms, offer *Description, w Wanted) ([]byte, Agreed, error) {
	at, security, err := t.choose(offer)
	if err != nil {
		return nil, Agreed{}, err
	}
	agreed := Agreed{Security: security}
	var room [2]written
	media := refused(room[:0], offer)
	if media[at], agreed.Audio, err = s.answered(&offer.Media[at], s.Local.Audio, security, w.Codecs, w); err != nil {
		return nil, Agreed{}, err
	}
	if v := t.video(offer, security); v >= 0 && len(w.Video) > 0 && s.Local.Video.RTP != 0 {
		if line, stream, err := s.answered(&offer.Media[v], s.Local.Video, security, w.Video, w); err == nil {
			media[v], agreed.Video = line, stream
		}
	}
	var bundle []string
	if mid := media[at].mid; slices.Contains(offer.Bundle, mid) {
		bundle = []string{mid} // a second line in it would have to share the port
	}
	text, _ := s.write(media, bundle)
	return text, agreed, nil
}

// refused appends the lines of a description as refused ones.
func refused(media []written, d *Description) []written {
	for i := range d.Media {
		m := &d.Media[i]
		media = append(media, written{kind: m.Kind, profile: m.Profile, format: m.Format, mid: m.Mid})
	}
	return media
}

// video returns the first video line that can be protected as the audio is, or -1.
func (t Terms) video(offer *Description, security Security) int {
	return slices.IndexFunc(offer.Media, func(m Media) bool {
		if m.Kind != "video" || m.Remote.Port() == 0 {
			return false
		}
		s, err := t.protection(&m)
		return err == nil && s == security
	})
}

// answered answers one line.
func (s *Side) answered(m *Media, line Line, security Security, codecs []Codec, w Wanted) (written, Stream, error) {
	codec, ok := pick(m, codecs)
	if !ok {
		return written{}, Stream{}, fmt.Errorf("%w: none of its codecs is wanted: %v", ErrUnacceptable, codecs)
	}
	out := written{
		kind: m.Kind, profile: m.Profile, line: line, codecs: append(make([]Codec, 0, 2), codec), mid: m.Mid, mux: m.Mux,
		direction: m.Direction.Reverse().And(w.Direction),
	}
	in := streamOf(m, codec)
	in.Direction, in.Receive, in.Mux = out.direction, codec.Payload, m.Mux
	if m.Kind == "audio" {
		out.ptime = w.Ptime
		if e, ok := m.event(); ok {
			e.Params = events
			out.codecs = append(out.codecs, e)
			in.DTMFSend, in.DTMFRecv = e.Payload, e.Payload
		}
	}
	switch security {
	case SDES:
		if err := answerKey(m, line, &out, &in); err != nil {
			return written{}, Stream{}, err
		}
	case DTLS:
		in.Active = s.active(m)
		out.setup = "passive"
		if in.Active {
			out.setup = "active"
		}
		in.Fingerprints = m.Fingerprints
		if out.ice = m.Ufrag != "" && line.Ufrag != ""; out.ice {
			out.line = s.answering(m, line)
			in.LocalUfrag, in.LocalPwd = out.line.Ufrag, out.line.Pwd
			in.RemoteUfrag, in.RemotePwd = m.Ufrag, m.Pwd
		}
	}
	return out, in, nil
}

// pick takes the offer's first codec that is wanted. Its parameters are those of the wanted one: they are the far end's,
// because what the phone sends goes there.
func pick(m *Media, wanted []Codec) (Codec, bool) {
	if wanted == nil {
		var room [len(passed)]Codec
		wanted = AppendCommon(room[:0], m.Codecs)
	}
	for i := range m.Codecs {
		c := &m.Codecs[i]
		if at := indexOf(wanted, c); at >= 0 {
			picked := wanted[at]
			picked.Payload, picked.Channels = c.Payload, c.Channels
			return picked, true
		}
	}
	return Codec{}, false
}

// streamOf is what a line of the phone says of a stream that uses one of its codecs.
func streamOf(m *Media, codec Codec) Stream {
	s := Stream{RemoteRTCP: m.RTCP, Codec: codec, Send: codec.Payload, Ptime: m.Ptime}
	if s.Ptime == 0 {
		s.Ptime = 20
	}
	if m.Remote.Addr().IsValid() {
		s.Remote = m.Remote
	}
	if !m.RTCP.Addr().IsValid() {
		s.RemoteRTCP = netip.AddrPort{}
	}
	return s
}

// answerKey takes the phone's first key of a suite that we have a key for, and answers with ours under its tag (RFC 4568
// §5.1.3).
func answerKey(m *Media, line Line, out *written, in *Stream) error {
	for _, theirs := range m.Keys {
		i := slices.IndexFunc(line.Keys, func(k Key) bool { return k.Suite == theirs.Suite })
		if i < 0 {
			continue
		}
		ours := line.Keys[i]
		ours.Tag = theirs.Tag
		out.keys, in.LocalKey, in.RemoteKey = []Key{ours}, ours, theirs
		return nil
	}
	return fmt.Errorf("%w: none of its SRTP suites is open here", ErrUnacceptable)
}

// active says who begins the DTLS handshake. A phone behind NAT has to send first, so it begins where it can; once roles
// are given they stay for as long as both certificates do (RFC 8842 §5.3).
func (s *Side) active(m *Media) bool {
	if m.Setup != "actpass" {
		return m.Setup == "passive"
	}
	if s.Agreed.Security != DTLS {
		return false
	}
	before := s.before(m.Kind)
	return before.Active && slices.Equal(before.Fingerprints, m.Fingerprints)
}
