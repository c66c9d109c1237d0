package sdp

import (
	"fmt"
	"strings"
)

// Settle says what an answer of the phone agrees of our offer. It is ErrUnacceptable when that is nothing, or not what was
// offered.
func Settle(ours, theirs *Description) (Agreed, error) {
	audio := -1
	for i := range ours.Media {
		if ours.Media[i].Kind == "audio" && accepted(ours, theirs, i) {
			audio = i
			break
		}
	}
	if audio < 0 {
		return Agreed{}, fmt.Errorf("%w: the answer refuses the audio", ErrUnacceptable)
	}
	security, stream, err := settled(&ours.Media[audio], &theirs.Media[audio])
	if err != nil {
		return Agreed{}, err
	}
	agreed := Agreed{Security: security, Audio: stream}
	for i := range ours.Media {
		if ours.Media[i].Kind != "video" || !accepted(ours, theirs, i) {
			continue
		}
		if s, stream, err := settled(&ours.Media[i], &theirs.Media[i]); err == nil && s == security {
			agreed.Video = stream
		}
		break
	}
	return agreed, nil
}

// accepted reports whether neither side refused a line.
func accepted(ours, theirs *Description, i int) bool {
	return i < len(theirs.Media) && theirs.Media[i].Kind == ours.Media[i].Kind &&
		ours.Media[i].Remote.Port() != 0 && theirs.Media[i].Remote.Port() != 0
}

// settled settles one line.
func settled(ours, theirs *Media) (Security, Stream, error) {
	stream, err := settledCodec(ours, theirs)
	if err != nil {
		return "", Stream{}, err
	}
	stream.Mux = ours.Mux && theirs.Mux
	stream.Direction = ours.Direction.And(theirs.Direction.Reverse())
	security, err := settledSecurity(ours, theirs, &stream)
	return security, stream, err
}

// settledCodec finds the answer's first codec that we offered, and telephone-event.
func settledCodec(ours, theirs *Media) (Stream, error) {
	for at := range theirs.Codecs {
		c := &theirs.Codecs[at]
		i := indexOf(ours.Codecs, c)
		if i < 0 || strings.EqualFold(c.Name, event) {
			continue
		}
		s := streamOf(theirs, *c)
		s.Receive = ours.Codecs[i].Payload
		if e, ok := theirs.event(); ok {
			if j := indexOf(ours.Codecs, &e); j >= 0 {
				s.DTMFSend, s.DTMFRecv = e.Payload, ours.Codecs[j].Payload
			}
		}
		return s, nil
	}
	return Stream{}, fmt.Errorf("%w: the answer holds none of the codecs that were offered", ErrUnacceptable)
}

// settledSecurity checks that the answer protects as the offer did.
func settledSecurity(ours, theirs *Media, s *Stream) (Security, error) {
	offered, answered := profile(ours.Profile), profile(theirs.Profile)
	if offered == SDES && len(ours.Fingerprints) > 0 && (len(ours.Keys) == 0 || len(theirs.Keys) == 0) {
		offered = DTLS // either was offered: the phone has no key, or none was for it
	}
	if answered == SDES && offered == DTLS && len(theirs.Fingerprints) > 0 {
		answered = DTLS
	}
	if offered != answered || offered == "" {
		return "", fmt.Errorf("%w: %s was offered, %s answered", ErrUnacceptable, ours.Profile, theirs.Profile)
	}
	switch {
	case offered == DTLS:
		return DTLS, settledDTLS(ours, theirs, s)
	case offered == Plain && (len(ours.Keys) == 0 || len(theirs.Keys) == 0):
		return Plain, nil
	}
	return SDES, settledKeys(ours, theirs, s)
}

// settledKeys finds the key that was answered by the tag of the offered one (RFC 4568 §5.1.3).
func settledKeys(ours, theirs *Media, s *Stream) error {
	if len(theirs.Keys) == 1 {
		remote := theirs.Keys[0]
		for _, local := range ours.Keys {
			if local.Tag == remote.Tag && local.Suite == remote.Suite {
				s.LocalKey, s.RemoteKey = local, remote
				return nil
			}
		}
	}
	return fmt.Errorf("%w: the answer holds no one key of a suite that was offered", ErrUnacceptable)
}

// settledDTLS finds who begins the handshake (RFC 8842 §5.4).
func settledDTLS(ours, theirs *Media, s *Stream) error {
	if len(theirs.Fingerprints) == 0 {
		return fmt.Errorf("%w: the answer holds no SHA-256, SHA-384 or SHA-512 fingerprint", ErrUnacceptable)
	}
	switch {
	case theirs.Setup == "passive" && ours.Setup != "passive":
		s.Active = true
	case theirs.Setup == "holdconn", theirs.Setup == "active" && ours.Setup == "active", theirs.Setup == "passive":
		return fmt.Errorf("%w: a=setup:%s answers %s", ErrUnacceptable, theirs.Setup, ours.Setup)
	}
	s.Fingerprints = theirs.Fingerprints
	if ours.Ufrag != "" && theirs.Ufrag != "" {
		s.LocalUfrag, s.LocalPwd = ours.Ufrag, ours.Pwd
		s.RemoteUfrag, s.RemotePwd = theirs.Ufrag, theirs.Pwd
	}
	return nil
}
