package sdp_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"demarc/telephony/sdp"
)

func text(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "phones", name+".sdp"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// holds checks what must hold for whatever can be read: our answer can be read, refuses no line by leaving it out, holds one
// codec, and the phone settles on just what we agreed to.
func holds(t interface{ Fatalf(string, ...any) }, offer *sdp.Description, terms sdp.Terms, wanted sdp.Wanted) {
	answer, agreed, err := side().Answer(terms, offer, wanted)
	if err != nil {
		return
	}
	d, err := sdp.Parse(answer)
	if err != nil {
		t.Fatalf("our answer cannot be read: %v\n%s", err, answer)
	}
	if len(d.Media) != len(offer.Media) {
		t.Fatalf("%d lines are answered with %d", len(offer.Media), len(d.Media))
	}
	var lines int
	for i, m := range d.Media {
		if m.Remote.Port() == 0 {
			continue
		}
		lines++
		if n := len(m.Codecs); n == 0 || n > 2 || n == 2 && !strings.EqualFold(m.Codecs[1].Name, "telephone-event") {
			t.Fatalf("%d codecs in\n%s", n, answer)
		}
		if m.Kind != offer.Media[i].Kind || m.Direction.Sends() && !offer.Media[i].Direction.Receives() {
			t.Fatalf("%s of %s answers %s of %s", m.Direction, m.Kind, offer.Media[i].Direction, offer.Media[i].Kind)
		}
	}
	if lines == 0 || lines > 2 || bytes.Contains(answer, []byte("a=crypto")) != (agreed.Security == sdp.SDES) {
		t.Fatalf("%d lines, %s:\n%s", lines, agreed.Security, answer)
	}
	theirs, err := sdp.Settle(offer, d)
	if err != nil {
		t.Fatalf("the phone does not settle: %v on\n%s", err, answer)
	}
	a, b := agreed.Audio, theirs.Audio
	if theirs.Security != agreed.Security || a.Send != b.Receive || a.Receive != b.Send || a.DTMFSend != b.DTMFRecv ||
		a.Direction != b.Direction.Reverse() || a.LocalKey != b.RemoteKey || a.RemoteKey != b.LocalKey || a.Mux != b.Mux ||
		a.Active && b.Active || (a.RemoteUfrag == "") != (b.RemoteUfrag == "") {
		t.Fatalf("we agreed to %+v, the phone to %+v", agreed, theirs)
	}
}

// lines are what offers are drawn from: well-formed for the most part.
var lines = []string{
	"a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive", "a=rtcp-mux", "a=rtcp:4001", "a=rtcp:4009 IN IP4 192.0.2.3", "a=ptime:20",
	"a=ptime:0.5", "a=mid:0", "a=mid:1", "a=mid:audio", "c=IN IP4 0.0.0.0", "c=IN IP4 192.0.2.2", "c=IN IP6 2001:db8::1",
	"a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuvwx", "a=ice-lite", "a=setup:actpass", "a=setup:active", "a=setup:passive",
	"a=setup:holdconn", "a=fingerprint:SHA-256 AB" + strings.Repeat(":cd", 31), "a=fingerprint:sha-1 AB",
	"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd",
	"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwe|2^20",
	"a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|1:4",
	"a=rtpmap:96 opus/48000/2", "a=rtpmap:97 telephone-event/8000", "a=rtpmap:98 telephone-event/48000", "a=rtpmap:99 VP8/90000",
	"a=rtpmap:100 H264/90000", "a=fmtp:100 profile-level-id=42e01f;packetization-mode=1", "a=rtcp-fb:* nack pli", "a=fmtp:96 useinbandfec=1",
	"a=rtpmap:8 opus/48000/2", "a=rtpmap:101 telephone-event/8000/1", "a=fmtp:97 0-15", "a=extmap:1 urn:x", "a=ssrc:1 cname:x", "b=AS:64",
}

func TestEveryAnswerSettles(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		text.WriteString("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n")
		if rapid.Bool().Draw(t, "bundle") {
			text.WriteString("a=group:BUNDLE 0 1\n")
		}
		line := rapid.SampledFrom(lines)
		some := func(what string, most int) {
			for _, l := range rapid.SliceOfN(line, 0, most).Draw(t, what) {
				if l[0] == 'a' {
					text.WriteString(l + "\n")
				}
			}
		}
		some("session", 3)
		profile := rapid.SampledFrom([]string{"RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/MSRP"})
		kind := rapid.SampledFrom([]string{"audio", "audio", "video", "image"})
		payloads := rapid.SliceOfN(rapid.SampledFrom([]string{"0", "8", "9", "18", "96", "97", "98", "99", "100", "101", "13"}), 1, 11)
		for n := range rapid.IntRange(1, 4).Draw(t, "lines") {
			port := rapid.SampledFrom([]int{4000, 4002, 9, 0}).Draw(t, "port")
			fmt.Fprintf(&text, "m=%s %d %s %s\n", kind.Draw(t, "kind"), port, profile.Draw(t, "profile"),
				strings.Join(payloads.Draw(t, "payloads"), " "))
			some(fmt.Sprint("media", n), 25)
		}
		offer, err := sdp.Parse([]byte(text.String()))
		if err != nil {
			t.Fatalf("%v in\n%s", err, text.String())
		}
		terms := sdp.Terms{
			Secure: rapid.Bool().Draw(t, "secure"),
			Policy: rapid.SampledFrom([]sdp.Policy{sdp.Required, sdp.Preferred, sdp.Off}).Draw(t, "policy"),
		}
		wanted := sdp.Wanted{Direction: rapid.SampledFrom([]sdp.Direction{"", sdp.SendOnly, sdp.Inactive}).Draw(t, "wanted")}
		if v := offer.Video(); v != nil && rapid.Bool().Draw(t, "video") {
			wanted.Video = v.Codecs
		}
		holds(t, offer, terms, wanted)
	})
}

// What is offered to a phone it can read, and answer in kind, however often.
func TestEveryOfferIsAnswered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ours, theirs := side(), side()
		for range rapid.IntRange(1, 5).Draw(t, "rounds") {
			from, to := ours, theirs
			if rapid.Bool().Draw(t, "theirs") {
				from, to = theirs, ours
			}
			codecs := rapid.SliceOfNDistinct(rapid.SampledFrom(sdp.Passed()), 1, 5, sdp.Codec.String).Draw(t, "codecs")
			security := rapid.SampledFrom([]sdp.Security{sdp.Plain, sdp.SDES, sdp.DTLS}).Draw(t, "security")
			text, says, err := from.Offer(sdp.Offering{Security: security, Codecs: codecs})
			if err != nil {
				t.Fatalf("%v", err)
			}
			offer, err := sdp.Parse(text)
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if !reflect.DeepEqual(says, offer) {
				t.Fatalf("what is kept of an offer:\n%+v\nwhat it says:\n%+v in\n%s", says, offer, text)
			}
			holds(t, offer, safe, sdp.Wanted{})
			version := uint64(0)
			if last, err := sdp.Parse(from.Last); err == nil {
				version = last.Origin.Version
			}
			if v := offer.Origin.Version; v != version+1 && !bytes.Equal(text, from.Last) {
				t.Fatalf("version %d follows %d", v, version)
			}
			answer, agreed, err := to.Answer(safe, offer, sdp.Wanted{})
			if err != nil {
				t.Fatalf("%v", err)
			}
			d, err := sdp.Parse(answer)
			if err != nil {
				t.Fatalf("%v", err)
			}
			settled, err := sdp.Settle(offer, d)
			if err != nil {
				t.Fatalf("%v", err)
			}
			from.Last, from.Theirs, from.Agreed = text, d, settled
			to.Last, to.Theirs, to.Agreed = answer, offer, agreed
		}
	})
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/phones/*.sdp")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		offer, err := sdp.Parse(text)
		if err != nil {
			return
		}
		wanted := sdp.Wanted{}
		if v := offer.Video(); v != nil {
			wanted.Video = v.Codecs
		}
		holds(t, offer, safe, wanted)
		holds(t, offer, sdp.Terms{Policy: sdp.Off}, wanted)
	})
}

// What one call costs: two descriptions are read, an offer and an answer are written.
func BenchmarkCall(b *testing.B) {
	for _, name := range []string{"sipp", "linphone-sdes"} {
		b.Run(name, func(b *testing.B) {
			offer, local := text(b, name), opened()
			for b.Loop() {
				d, err := sdp.Parse(offer)
				if err != nil {
					b.Fatal(err)
				}
				caller, callee := sdp.Side{Local: local, Session: 1}, sdp.Side{Local: local, Session: 2}
				out, says, err := callee.Offer(sdp.Offering{Security: sdp.Plain, Codecs: sdp.Common(d.Audio().Codecs)})
				if err != nil {
					b.Fatal(err)
				}
				theirs, err := sdp.Parse(out)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := sdp.Settle(says, theirs); err != nil {
					b.Fatal(err)
				}
				if _, _, err := caller.Answer(safe, d, sdp.Wanted{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
