package sdp_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"demarc/internal/account"
	"demarc/telephony/sdp"
)

// told returns the values of an attribute in a description, in order.
func told(body []byte, name string) (all []string) {
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "a="+name+":"); ok {
			all = append(all, value)
		}
	}
	return all
}

// An offer that restarts ICE is answered with names that were never told; any other, and an offer of ours, with those in use (RFC 8839 §4.4).
func TestARestartOfICEIsAnsweredWithNewNames(t *testing.T) {
	s, offer := side(), phone(t, "chromium-audio")
	known := map[string]bool{}
	answer := func() (ufrag, pwd string) {
		t.Helper()
		body, agreed, err := s.Answer(safe, offer, sdp.Wanted{})
		if err != nil {
			t.Fatal(err)
		}
		s.Last, s.Theirs = body, offer
		s.Agree(agreed)
		a := &agreed.Audio
		if u, p := told(body, "ice-ufrag"), told(body, "ice-pwd"); len(u) != 1 || len(p) != 1 || u[0] != a.LocalUfrag || p[0] != a.LocalPwd.Reveal() {
			t.Fatalf("told %v and %v, agreed %s", u, p, a.LocalUfrag)
		}
		return a.LocalUfrag, a.LocalPwd.Reveal()
	}
	ufrag, pwd := answer()
	if ufrag != "demarc00" {
		t.Fatalf("the first answer names us %s", ufrag)
	}
	known[ufrag], known[pwd] = true, true
	for n := range 5 {
		if u, p := answer(); u != ufrag || p != pwd {
			t.Fatalf("the same offer again is answered as %s, not %s", u, ufrag)
		}
		changed := *offer
		changed.Media = append([]sdp.Media(nil), offer.Media...)
		offer = &changed
		m := offer.Audio()
		m.Ufrag, m.Pwd = fmt.Sprint("them", n), account.Secret(fmt.Sprint("their password ", n))
		if _, _, err := s.Answer(safe, offer, sdp.Wanted{Codecs: []sdp.Codec{{Name: "none", Rate: 1}}}); err == nil {
			t.Fatal("an offer without a codec that is wanted was answered")
		}
		if body, _, err := s.Offer(sdp.Offering{Security: sdp.DTLS, Codecs: sdp.Passed()}); err != nil || told(body, "ice-ufrag")[0] != ufrag ||
			told(body, "ice-pwd")[0] != pwd {
			t.Fatalf("%v: an offer of ours tells other names:\n%s", err, body)
		}
		if ufrag, pwd = answer(); known[ufrag] || known[pwd] || len(ufrag) < 4 || len(pwd) < 22 {
			t.Fatalf("restart %d: told %s and %s", n, ufrag, pwd)
		}
		known[ufrag], known[pwd] = true, true
	}
	other := side()
	other.Local.Seed = "another"
	other.Last, other.Theirs = s.Last, s.Theirs
	first, _, _ := other.Answer(safe, phone(t, "chromium-audio"), sdp.Wanted{})
	if !bytes.Contains(first, []byte("demarc00")) {
		t.Errorf("a first offer is answered with\n%s", first)
	}
}

// What one line restarts is none of the other's business.
func TestEachLineRestartsForItself(t *testing.T) {
	s, offer := side(), phone(t, "chromium-video")
	if offer.Video() == nil {
		t.Fatal("no video in it")
	}
	wanted := sdp.Wanted{Video: offer.Video().Codecs}
	for _, kind := range []string{"", "video", "audio"} {
		before := [2]string{s.Local.Audio.Ufrag, s.Local.Video.Ufrag}
		if kind == "video" {
			offer.Video().Ufrag, offer.Video().Pwd = "video", "the password of the video"
		} else if kind == "audio" {
			offer.Audio().Ufrag, offer.Audio().Pwd = "audio", "the password of the audio"
		}
		body, agreed, err := s.Answer(safe, offer, wanted)
		if err != nil {
			t.Fatal(err)
		}
		s.Last, s.Theirs = body, offer
		s.Agree(agreed)
		if s.Local.Audio.Ufrag == before[0] == (kind == "audio") || s.Local.Video.Ufrag == before[1] == (kind == "video") {
			t.Errorf("%q restarts: %v became %s and %s", kind, before, s.Local.Audio.Ufrag, s.Local.Video.Ufrag)
		}
	}
}
