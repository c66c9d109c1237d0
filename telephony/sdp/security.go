package sdp

import (
	"fmt"
	"slices"
	"strings"
)

// Policy is whether a leg's media must be protected.
type Policy string

// The policies. Preferred offers SAVP, and AVP once when that got 488; Off offers AVP, and refuses nothing.
const (
	Required  Policy = "required"
	Preferred Policy = "preferred"
	Off       Policy = "off"
)

// Terms are the terms on which a leg's media is agreed.
type Terms struct {
	Policy  Policy   // empty: Preferred
	Secure  bool     // nobody can listen to the leg's signalling: keys may be told
	Browser bool     // a WebSocket: UDP/TLS/RTP/SAVPF with ICE, whatever the policy
	Setting Security // the device's own setting, or how its last offer was; empty: none known
}

// Security says how to protect what is offered first. Keys of SDES are only told where nobody can listen (RFC 4568 §7);
// what DTLS tells is no secret, so that it is what remains to Required media over plain SIP.
func (t Terms) Security() Security {
	sdes := Plain
	if t.Secure {
		sdes = SDES
	}
	switch {
	case t.Browser, t.Setting == DTLS:
		return DTLS
	case t.Policy == Required && !t.Secure:
		return DTLS
	case t.Policy == Required:
		return SDES
	case t.Policy == Off:
		return Plain
	case t.Setting == Plain:
		return Plain
	}
	return sdes
}

// Next says how to offer once more when an offer with such protection was refused (488, 415): a phone that knows no SDES may
// know DTLS, which is no weaker. Only Preferred goes on from there, to no protection at all.
func (t Terms) Next(refused Security) (Security, bool) {
	switch {
	case t.Policy == Off, t.Browser, refused == Plain:
		return "", false
	case refused == SDES:
		return DTLS, true
	case t.Policy == Required:
		return "", false
	}
	return Plain, true
}

// Accepts reports whether an offer can be agreed to on these terms, and with what protection; ErrUnacceptable says why not.
func (t Terms) Accepts(offer *Description) (Security, error) {
	_, security, err := t.choose(offer)
	return security, err
}

// Made once: an offer is read with the first of them in hand.
var (
	errNoAudio = fmt.Errorf("%w: it offers no audio", ErrUnacceptable)
	errNoCodec = fmt.Errorf("%w: it offers no codec that is passed through", ErrUnacceptable)
)

// choose finds the audio line to answer. Some phones offer the same audio twice, secured and plain: the secured one is
// taken.
func (t Terms) choose(offer *Description) (int, Security, error) {
	chosen, security := -1, Security("")
	fault := errNoAudio
	for i := range offer.Media {
		m := &offer.Media[i]
		if m.Kind != "audio" || m.Remote.Port() == 0 {
			continue
		}
		s, err := t.protection(m)
		if err == nil && !slices.ContainsFunc(m.Codecs, func(c Codec) bool { return passes(&c) }) {
			err = errNoCodec
		}
		switch {
		case err != nil:
			fault = err
		case chosen < 0, security == Plain && s != Plain:
			chosen, security = i, s
		}
	}
	if chosen < 0 {
		return -1, "", fault
	}
	return chosen, security, nil
}

// protection says how an offered line would be protected. A key in an offer that came where others can listen is known to
// them: SAVP with such keys is refused rather than agreed to (RFC 4568 §7). RTP/AVP with keys is the best-effort SRTP that
// many desk phones know: it is taken as SDES where that is safe, and as what it says otherwise.
func (t Terms) protection(m *Media) (Security, error) {
	refuse := func(why string) (Security, error) { return "", fmt.Errorf("%w: %s", ErrUnacceptable, why) }
	switch profile(m.Profile) {
	case Plain:
		switch {
		case len(m.Keys) > 0 && t.Secure && t.Policy != Off:
			return SDES, nil
		case t.Policy == Required:
			return refuse("media must be encrypted here: switch SRTP on")
		}
		return Plain, nil
	case SDES:
		switch {
		case len(m.Fingerprints) > 0:
			return DTLS, nil
		case len(m.Keys) == 0:
			return refuse(noKey)
		case !t.Secure:
			return refuse("its keys came over a connection that others can listen to: use SIP over TLS, or DTLS-SRTP")
		}
		return SDES, nil
	case DTLS:
		switch {
		case len(m.Fingerprints) == 0:
			return refuse("it holds no SHA-256, SHA-384 or SHA-512 fingerprint")
		case m.Setup == "holdconn":
			return refuse("it wants no connection yet (a=setup:holdconn)")
		}
		return DTLS, nil
	}
	return refuse(fmt.Sprintf("the profile %s is not known", m.Profile))
}

// noKey says what an a=crypto line has to be, for nobody sees from outside which part of it is not known here.
const noKey = "it holds no a=crypto that can be taken: one key each, of AES_CM_128_HMAC_SHA1_80 or _32, AES_256_CM_HMAC_SHA1_80 or " +
	"AEAD_AES_256_GCM, and no session parameters but WSH"

// profile says what a profile of an m= line promises; RTP/SAVP may turn out to be DTLS.
func profile(name string) Security {
	switch strings.ToUpper(name) {
	case "RTP/AVP", "RTP/AVPF":
		return Plain
	case "RTP/SAVP", "RTP/SAVPF":
		return SDES
	case "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF":
		return DTLS
	}
	return ""
}
