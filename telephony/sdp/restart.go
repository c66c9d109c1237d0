package sdp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"demarc/internal/account"
)

// answering is our line in the answer to an offer: with ICE credentials that were never told when the offer restarts ICE, which it
// does by changing its own (RFC 8839 §4.4, RFC 8445 §9).
func (s *Side) answering(m *Media, line Line) Line {
	before := s.before(m.Kind)
	if before.RemoteUfrag == "" || before.RemoteUfrag == m.Ufrag && before.RemotePwd.Equal(m.Pwd) || s.Local.Seed == "" {
		return line
	}
	line.Ufrag, line.Pwd = next(s.Local.Seed, line.Ufrag, line.Pwd)
	return line
}

// before is what was agreed on of a kind of media.
func (s *Side) before(kind string) *Stream {
	if kind == "video" {
		return &s.Agreed.Video
	}
	return &s.Agreed.Audio
}

// Agree takes over what an offer and answer have settled. Credentials that a restart of ICE has brought are ours from then on, in offers too;
// an answer that was never given changes nothing.
func (s *Side) Agree(a Agreed) {
	s.Agreed = a
	s.Local.Audio.keep(&a.Audio)
	s.Local.Video.keep(&a.Video)
}

func (l *Line) keep(s *Stream) {
	if s.LocalUfrag != "" {
		l.Ufrag, l.Pwd = s.LocalUfrag, s.LocalPwd
	}
}

// next returns the credentials after others, made of the seed: who is told some of them knows nothing of the next, and a leg that is
// restored has them again. They are 48 and 144 bits that look random (RFC 8445 §5.3 asks for 24 and 128).
func next(seed account.Secret, ufrag string, pwd account.Secret) (string, account.Secret) {
	mac := hmac.New(sha256.New, []byte(seed.Reveal()))
	mac.Write([]byte(ufrag + ":" + pwd.Reveal()))
	text := base64.RawStdEncoding.EncodeToString(mac.Sum(nil)[:24]) // its letters are ice-chars
	return text[:8], account.Secret(text[8:])
}
