package sdp_test

import (
	"strings"
	"testing"

	"demarc/telephony/sdp"
)

const plainOffer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"

// A line with port 0 is refused or gone, and what stands in it says nothing (RFC 3264 §8.2): it breaks no call.
func TestWhatStandsInARefusedLineSaysNothing(t *testing.T) {
	for _, rest := range []string{"c=IN IP4 233.0.0.1/127", "c=IN IP4 gone..example", "a=ice-pwd:x", "a=setup:whatever", "a=rtpmap:x", "a=rtcp:70000", "a=fmtp:96 \xff"} {
		d, err := sdp.Parse([]byte(plainOffer + "m=video 0 RTP/AVP 96\r\na=mid:v\r\n" + rest + "\r\nm=audio 5002 RTP/AVP 8\r\n"))
		if err != nil {
			t.Errorf("%s: %v", rest, err)
			continue
		}
		if len(d.Media) != 3 || d.Media[1].Remote.Port() != 0 || d.Media[1].Mid != "v" || d.Media[2].Remote.Port() != 5002 {
			t.Errorf("%s: read as %+v", rest, d.Media)
		}
		if _, err := sdp.Parse([]byte(plainOffer + "m=audio 5002 RTP/AVP 96\r\n" + rest + "\r\n")); err == nil {
			t.Errorf("%s is taken in a line that is in use", rest)
		}
	}
}

// What is no name of a line is not repeated in the answer.
func TestABrokenNameOfARefusedLineIsForgotten(t *testing.T) {
	d, err := sdp.Parse([]byte(plainOffer + "m=video 0 RTP/AVP 96\r\na=mid:x y\x01\r\n"))
	if err != nil || d.Media[1].Mid != "" {
		t.Errorf("%v: %+v", err, d)
	}
}

// Some phones end lines with a blank. A hold that is overlooked for that is talk that somebody hears who should not.
func TestBlanksAtTheEndOfALineSayNothing(t *testing.T) {
	for _, line := range []string{"a=sendonly ", "a=sendonly\t", "a=sendonly  \t "} {
		d, err := sdp.Parse([]byte(plainOffer + line + "\r\na=mid:0 \r\na=setup:actpass \r\n"))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if m := &d.Media[0]; !d.Holds() || m.Mid != "0" || m.Setup != "actpass" {
			t.Errorf("%q is read as %+v", line, m)
		}
	}
}

// The session's fingerprints are for lines without their own: what is not for a line must not let anybody into its media.
func TestALinesOwnFingerprintsReplaceTheSessions(t *testing.T) {
	const session, own = "a=fingerprint:sha-256 ", "a=fingerprint:SHA-256 "
	of := func(digits string) string { return digits + strings.Repeat(":"+digits, 31) + "\r\n" }
	head := strings.Replace(plainOffer, "m=audio", session+of("AA")+session+of("AB")+"m=audio", 1)
	d := parse(t, []byte(head+own+of("BA")+own+of("BB")+"m=audio 5002 UDP/TLS/RTP/SAVPF 0\r\nm=audio 5004 UDP/TLS/RTP/SAVPF 0\r\n"+own+of("CA")))
	for i, want := range []string{"BA BB", "AA AB", "CA"} {
		var got []string
		for _, f := range d.Media[i].Fingerprints {
			got = append(got, f.Value[:2])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("line %d has the fingerprints %v, not %s", i, got, want)
		}
	}
}
