package sdp_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"demarc/internal/account"
	"demarc/telephony/sdp"
)

func base64Of(fill string, size int) account.Secret {
	return account.Secret(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(fill, size))))
}

func TestSecurityOfOffers(t *testing.T) {
	for _, c := range []struct {
		terms  sdp.Terms
		offers []sdp.Security // one after the other is refused
	}{
		{sdp.Terms{Secure: true}, []sdp.Security{sdp.SDES, sdp.DTLS, sdp.Plain}},
		{sdp.Terms{}, []sdp.Security{sdp.Plain}},
		{sdp.Terms{Setting: sdp.SDES}, []sdp.Security{sdp.Plain}},
		{sdp.Terms{Setting: sdp.DTLS}, []sdp.Security{sdp.DTLS, sdp.Plain}},
		{sdp.Terms{Secure: true, Setting: sdp.Plain}, []sdp.Security{sdp.Plain}},
		{sdp.Terms{Secure: true, Setting: sdp.DTLS}, []sdp.Security{sdp.DTLS, sdp.Plain}},
		{sdp.Terms{Secure: true, Policy: sdp.Required}, []sdp.Security{sdp.SDES, sdp.DTLS}},
		{sdp.Terms{Secure: true, Policy: sdp.Required, Setting: sdp.Plain}, []sdp.Security{sdp.SDES, sdp.DTLS}},
		{sdp.Terms{Policy: sdp.Required}, []sdp.Security{sdp.DTLS}},
		{sdp.Terms{Secure: true, Policy: sdp.Off}, []sdp.Security{sdp.Plain}},
		{sdp.Terms{Secure: true, Policy: sdp.Off, Browser: true}, []sdp.Security{sdp.DTLS}},
		{sdp.Terms{Browser: true}, []sdp.Security{sdp.DTLS}},
	} {
		var got []sdp.Security
		for s, ok := c.terms.Security(), true; ok; s, ok = c.terms.Next(s) {
			got = append(got, s)
		}
		if !slices.Equal(got, c.offers) {
			t.Errorf("%+v: %v are offered", c.terms, got)
		}
	}
}

// Keys that others could read are no keys, and a policy that requires protection is not talked out of it.
func TestSecurityOfAnswers(t *testing.T) {
	for _, c := range []struct {
		phone string
		terms sdp.Terms
		want  sdp.Security // empty: refused
	}{
		{"baresip-plain", sdp.Terms{}, sdp.Plain},
		{"baresip-plain", sdp.Terms{Secure: true}, sdp.Plain},
		{"baresip-plain", sdp.Terms{Secure: true, Policy: sdp.Required}, ""},
		{"baresip-plain", sdp.Terms{Policy: sdp.Required}, ""},
		{"baresip-sdes", sdp.Terms{Secure: true}, sdp.SDES},
		{"baresip-sdes", sdp.Terms{Secure: true, Policy: sdp.Required}, sdp.SDES},
		{"baresip-sdes", sdp.Terms{Secure: true, Policy: sdp.Off}, sdp.SDES},
		{"baresip-sdes", sdp.Terms{}, ""},
		{"baresip-sdes", sdp.Terms{Policy: sdp.Required}, ""},
		{"baresip-sdes", sdp.Terms{Policy: sdp.Off}, ""},
		{"baresip-dtls", sdp.Terms{}, sdp.DTLS},
		{"baresip-dtls", sdp.Terms{Policy: sdp.Required}, sdp.DTLS},
		{"chromium-audio", sdp.Terms{Secure: true, Browser: true, Policy: sdp.Required}, sdp.DTLS},
		{"desk-phone-best-effort", sdp.Terms{Secure: true}, sdp.SDES},
		{"desk-phone-best-effort", sdp.Terms{Secure: true, Policy: sdp.Required}, sdp.SDES},
		{"desk-phone-best-effort", sdp.Terms{Secure: true, Policy: sdp.Off}, sdp.Plain},
		{"desk-phone-best-effort", sdp.Terms{}, sdp.Plain},
		{"desk-phone-best-effort", sdp.Terms{Policy: sdp.Required}, ""},
		{"desk-phone-two-audio-lines", sdp.Terms{Secure: true}, sdp.SDES},
		{"desk-phone-two-audio-lines", sdp.Terms{}, sdp.Plain},
	} {
		answer, agreed, err := side().Answer(c.terms, phone(t, c.phone), sdp.Wanted{})
		switch {
		case c.want == "" && !errors.Is(err, sdp.ErrUnacceptable):
			t.Errorf("%s on %+v: %v, want ErrUnacceptable", c.phone, c.terms, err)
		case c.want != "" && (err != nil || agreed.Security != c.want):
			t.Errorf("%s on %+v: %s, %v", c.phone, c.terms, agreed.Security, err)
		case !c.terms.Secure && bytes.Contains(answer, []byte("a=crypto")):
			t.Errorf("%s on %+v: keys are told", c.phone, c.terms)
		}
	}
}

// The answer never allows more than the offer (RFC 3264 §6.1).
func TestDirections(t *testing.T) {
	for _, c := range []struct{ offered, wanted, answered sdp.Direction }{
		{sdp.SendRecv, sdp.SendRecv, sdp.SendRecv}, {sdp.SendOnly, sdp.SendRecv, sdp.RecvOnly},
		{sdp.RecvOnly, sdp.SendRecv, sdp.SendOnly}, {sdp.Inactive, sdp.SendRecv, sdp.Inactive},
		{sdp.SendRecv, sdp.SendOnly, sdp.SendOnly}, {sdp.SendOnly, sdp.SendOnly, sdp.Inactive},
		{sdp.SendRecv, sdp.RecvOnly, sdp.RecvOnly}, {sdp.SendRecv, sdp.Inactive, sdp.Inactive},
		{sdp.RecvOnly, sdp.RecvOnly, sdp.Inactive}, {"", "", sdp.SendRecv},
	} {
		text := head + "m=audio 4000 RTP/AVP 0\r\n"
		if c.offered != "" {
			text += "a=" + string(c.offered) + "\r\n"
		}
		answer, agreed, err := side().Answer(safe, parse(t, []byte(text)), sdp.Wanted{Direction: c.wanted})
		if err != nil {
			t.Fatal(err)
		}
		if agreed.Audio.Direction != c.answered || !bytes.Contains(answer, []byte("a="+c.answered+"\r\n")) {
			t.Errorf("%s and %s: %s in\n%s", c.offered, c.wanted, agreed.Audio.Direction, answer)
		}
	}
}

// What one side offers, the other side's phone answers: the codec is one that both know, with each side's numbers.
func TestOfferAndSettle(t *testing.T) {
	s := side()
	codecs := sdp.Common(phone(t, "linphone-plain").Audio().Codecs)
	for _, c := range []struct {
		security sdp.Security
		terms    sdp.Terms
	}{{sdp.Plain, sdp.Terms{}}, {sdp.SDES, safe}, {sdp.DTLS, sdp.Terms{}}} {
		text, _, err := s.Offer(sdp.Offering{Security: c.security, Codecs: codecs, Ptime: 20})
		if err != nil {
			t.Fatal(err)
		}
		ours := parse(t, text)
		peer := side()
		answer, theirs, err := peer.Answer(c.terms, ours, sdp.Wanted{Codecs: sdp.Music()})
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.security, err, text)
		}
		agreed, err := sdp.Settle(ours, parse(t, answer))
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.security, err, answer)
		}
		a := agreed.Audio
		switch {
		case agreed.Security != c.security, theirs.Security != c.security:
			t.Errorf("%s became %s and %s", c.security, agreed.Security, theirs.Security)
		case a.Codec.Name != "PCMU" || a.Send != 0 || a.Receive != 0 || a.DTMFSend != 101 || a.Ptime != 20:
			t.Errorf("%+v", a)
		case a.LocalKey != theirs.Audio.RemoteKey || a.RemoteKey != theirs.Audio.LocalKey:
			t.Errorf("%s: keys %+v against %+v", c.security, a, theirs.Audio)
		case c.security == sdp.DTLS && (!a.Active || a.RemoteUfrag != "demarc00"):
			t.Errorf("%+v", a)
		}
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	s := side()
	text, _, err := s.Offer(sdp.Offering{Security: sdp.SDES, Codecs: sdp.Passed()})
	if err != nil {
		t.Fatal(err)
	}
	const crypto = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n"
	for name, answer := range map[string]string{
		"refused":             "m=audio 0 RTP/SAVP 0\r\n",
		"no lines":            "",
		"another kind":        "m=video 4000 RTP/SAVP 0\r\n" + crypto,
		"no key":              "m=audio 4000 RTP/SAVP 0\r\n",
		"unprotected":         "m=audio 4000 RTP/AVP 0\r\n",
		"another tag":         "m=audio 4000 RTP/SAVP 0\r\n" + strings.Replace(crypto, ":3", ":9", 1),
		"another suite":       "m=audio 4000 RTP/SAVP 0\r\n" + strings.Replace(crypto, "_80", "_32", 1),
		"two keys":            "m=audio 4000 RTP/SAVP 0\r\n" + crypto + strings.Replace(crypto, ":3", ":4", 1),
		"a codec not offered": "m=audio 4000 RTP/SAVP 3\r\na=rtpmap:3 GSM/8000\r\n" + crypto,
		"events alone":        "m=audio 4000 RTP/SAVP 101\r\na=rtpmap:101 telephone-event/8000\r\n" + crypto,
	} {
		if a, err := sdp.Settle(parse(t, text), parse(t, []byte(head+answer))); !errors.Is(err, sdp.ErrUnacceptable) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	good := head + "m=audio 4000 RTP/SAVP 0\r\n" + crypto
	if a, err := sdp.Settle(parse(t, text), parse(t, []byte(good))); err != nil || a.Audio.LocalKey.Tag != 3 {
		t.Errorf("%+v, %v", a, err)
	}
}

// To a phone that may know DTLS alone a fingerprint is offered beside the keys: it takes either, and later offers say that.
func TestEitherIsOffered(t *testing.T) {
	const setup = "a=setup:active\r\na=fingerprint:sha-256 "
	print := strings.Repeat("AB:", 31) + "AB\r\n"
	const crypto = "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\r\n"
	for _, c := range []struct {
		answer    string
		want      sdp.Security
		profile   string // of the offer after that
		keys, fps int
	}{
		{"m=audio 4000 RTP/SAVP 0\r\n" + crypto, sdp.SDES, "RTP/SAVP", len(opened().Audio.Keys), 0},
		{"m=audio 4000 RTP/SAVP 0\r\n" + setup + print, sdp.DTLS, "RTP/SAVP", 0, 1},
		{"m=audio 4000 UDP/TLS/RTP/SAVP 0\r\n" + setup + print, sdp.DTLS, "UDP/TLS/RTP/SAVP", 0, 1},
		{"m=audio 4000 RTP/SAVP 0\r\n" + crypto + setup + print, sdp.SDES, "RTP/SAVP", len(opened().Audio.Keys), 0},
		{"m=audio 4000 RTP/SAVP 0\r\n", "", "", 0, 0},
		{"m=audio 4000 RTP/AVP 0\r\n", "", "", 0, 0},
	} {
		s := side()
		text, says, err := s.Offer(sdp.Offering{Security: sdp.SDES, Either: true, Codecs: sdp.Music()})
		if err != nil {
			t.Fatal(err)
		}
		ours := parse(t, text)
		if !reflect.DeepEqual(says, ours) {
			t.Errorf("what is kept of an offer:\n%+v\nwhat it says:\n%+v", says, ours)
		}
		if m := ours.Audio(); m.Profile != "RTP/SAVP" || len(m.Keys) == 0 || len(m.Fingerprints) != 1 || m.Setup != "actpass" || m.Mid != "" {
			t.Fatalf("%+v", m)
		}
		theirs := parse(t, []byte(head+c.answer))
		agreed, err := sdp.Settle(ours, theirs)
		if agreed.Security != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %s, %v", c.answer, agreed.Security, err)
		}
		if err != nil {
			continue
		}
		s.Last, s.Theirs, s.Agreed = text, theirs, agreed
		if text, _, err = s.Offer(sdp.Offering{Security: agreed.Security, Codecs: sdp.Music()}); err != nil {
			t.Fatal(err)
		}
		if m := parse(t, text).Audio(); m.Profile != c.profile || len(m.Keys) != c.keys || len(m.Fingerprints) != c.fps {
			t.Errorf("%s: then %+v", c.answer, m)
		}
	}
}

// A later offer keeps the lines, the mids and the payload types of the session, and counts its version.
func TestOffersWithinASession(t *testing.T) {
	s := side()
	theirs := phone(t, "chromium-video")
	answer, agreed, err := s.Answer(sdp.Terms{Browser: true}, theirs, sdp.Wanted{Codecs: sdp.Music()})
	if err != nil {
		t.Fatal(err)
	}
	s.Last, s.Theirs, s.Agreed = answer, theirs, agreed
	text, says, err := s.Offer(sdp.Offering{Security: sdp.DTLS, Codecs: sdp.Passed(), Direction: sdp.SendOnly})
	if err != nil {
		t.Fatal(err)
	}
	offer := parse(t, text)
	switch {
	case !reflect.DeepEqual(says, offer): // the refused line too
		t.Errorf("what is kept of an offer:\n%+v\nwhat it says:\n%+v", says, offer)
	case offer.Origin.Version != 2 || offer.Origin.Session != 42:
		t.Errorf("origin %+v", offer.Origin)
	case len(offer.Media) != len(theirs.Media) || offer.Media[1].Remote.Port() != 0:
		t.Errorf("%d lines\n%s", len(offer.Media), text)
	case offer.Audio().Mid != theirs.Audio().Mid || offer.Audio().Direction != sdp.SendOnly:
		t.Errorf("%+v", offer.Audio())
	}
	for _, c := range offer.Audio().Codecs {
		for _, k := range theirs.Audio().Codecs {
			if c.Is(k) != (c.Payload == k.Payload) {
				t.Errorf("%d is %v here and %d is %v there", c.Payload, c, k.Payload, k)
			}
		}
	}
}

func TestNumbersThatArePhonesOwn(t *testing.T) {
	theirs := parse(t, []byte(head+"m=audio 4000 RTP/AVP 8 111 101\r\na=rtpmap:111 telephone-event/8000\r\n"+
		"a=rtpmap:101 opus/48000/2\r\n"))
	s := side()
	answer, agreed, err := s.Answer(sdp.Terms{}, theirs, sdp.Wanted{Codecs: sdp.Music()})
	if err != nil {
		t.Fatal(err)
	}
	if agreed.Audio.DTMFSend != 111 || agreed.Audio.Codec.Name != "PCMA" {
		t.Errorf("%+v", agreed.Audio)
	}
	s.Last, s.Theirs, s.Agreed = answer, theirs, agreed
	text, _, err := s.Offer(sdp.Offering{Security: sdp.Plain, Codecs: sdp.Passed()})
	if err != nil {
		t.Fatal(err)
	}
	if got := parse(t, text).Audio().Codecs; got[0].Payload != 101 || got[len(got)-1].Payload != 111 {
		t.Errorf("opus and events became %+v", got)
	}
}

// Who began a handshake stays who he is, as long as the certificate stays.
func TestDTLSRolesStay(t *testing.T) {
	s := side()
	first := bytes.ReplaceAll(text(t, "chromium-audio"), []byte("a=setup:actpass"), []byte("a=setup:passive"))
	offer := parse(t, first)
	answer, agreed, err := s.Answer(sdp.Terms{Browser: true}, offer, sdp.Wanted{})
	if err != nil || !agreed.Audio.Active || !bytes.Contains(answer, []byte("a=setup:active")) {
		t.Fatalf("%v: %s", err, answer)
	}
	s.Last, s.Theirs, s.Agreed = answer, offer, agreed
	if _, agreed, err := s.Answer(sdp.Terms{Browser: true}, phone(t, "chromium-audio"), sdp.Wanted{}); err != nil || !agreed.Audio.Active {
		t.Errorf("the role changed: %+v, %v", agreed, err)
	}
	other := bytes.ReplaceAll(text(t, "chromium-audio"), []byte("sha-256 27:"), []byte("sha-256 28:"))
	if _, agreed, err := s.Answer(sdp.Terms{Browser: true}, parse(t, other), sdp.Wanted{}); err != nil || agreed.Audio.Active {
		t.Errorf("the role stayed with another certificate: %+v, %v", agreed, err)
	}
}

func TestCompare(t *testing.T) {
	plain, sdes, ice := text(t, "baresip-plain"), text(t, "linphone-sdes"), text(t, "baresip-ice")
	for _, c := range []struct {
		name     string
		base     []byte
		old, new string
		want     sdp.Change
	}{
		{"refresh", plain, "1250161215", "1250161216", sdp.Change{}},
		{"hold", plain, "a=sendrecv", "a=sendonly", sdp.Change{Direction: true}},
		{"old hold", plain, "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", sdp.Change{Direction: true, Address: true}},
		{"port", plain, "47566", "47568", sdp.Change{Address: true}},
		{"codec gone", plain, "RTP/AVP 96 9 ", "RTP/AVP 9 ", sdp.Change{Codec: true}},
		{"codec locked", plain, "RTP/AVP 96 9 0 8", "RTP/AVP 96", sdp.Change{}},
		{"profile", plain, "RTP/AVP", "UDP/TLS/RTP/SAVP", sdp.Change{Security: true}},
		{"all keys", sdes, "a=crypto:", "a=tpyrco:", sdp.Change{Security: true}},
		{"some keys", sdes, "a=crypto:2", "a=tpyrco:2", sdp.Change{}},
		{"ICE", ice, "a=ice-ufrag:Z", "a=ice-ufrag:Y", sdp.Change{Restart: true}},
		{"certificate", ice, "SHA-256 8F", "SHA-256 8E", sdp.Change{Security: true}},
		{"video", plain, "a=ptime:20\r\n", "m=video 4000 RTP/AVP 31\r\n", sdp.Change{Video: true}},
	} {
		offer := parse(t, c.base)
		_, agreed, err := side().Answer(safe, offer, sdp.Wanted{})
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.ReplaceAll(c.base, []byte(c.old), []byte(c.new))
		if bytes.Equal(changed, c.base) {
			t.Fatalf("%s changes nothing", c.name)
		}
		if got := sdp.Compare(agreed, offer, parse(t, changed)); got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
