package sdp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"demarc/telephony/sdp"
)

var update = flag.Bool("update", false, "write the golden answers anew")

// opened is the media of a leg, as if it had just been opened.
func opened() sdp.Local {
	keys := func(fill string) []sdp.Key {
		key := func(tag int, suite string, size int) sdp.Key {
			return sdp.Key{Tag: tag, Suite: suite, Key: base64Of(fill, size)}
		}
		return []sdp.Key{
			key(1, "AEAD_AES_256_GCM", 44), key(2, "AES_256_CM_HMAC_SHA1_80", 46),
			key(3, "AES_CM_128_HMAC_SHA1_80", 30), key(4, "AES_CM_128_HMAC_SHA1_32", 30),
		}
	}
	return sdp.Local{
		Addr:        netip.MustParseAddr("203.0.113.5"),
		Audio:       sdp.Line{RTP: 20000, RTCP: 20001, Keys: keys("a"), Ufrag: "demarc00", Pwd: "0123456789012345678901234567"},
		Video:       sdp.Line{RTP: 20002, RTCP: 20003, Keys: keys("v"), Ufrag: "demarc00", Pwd: "0123456789012345678901234567"},
		Fingerprint: sdp.Fingerprint{Hash: "sha-256", Value: "AB" + strings.Repeat(":CD", 31)},
		Seed:        "a secret of this leg",
	}
}

func side() *sdp.Side { return &sdp.Side{Local: opened(), Session: 42} }

// safe are the terms of a leg over TLS.
var safe = sdp.Terms{Secure: true}

func parse(t *testing.T, text []byte) *sdp.Description {
	t.Helper()
	d, err := sdp.Parse(text)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return d
}

func phone(t *testing.T, name string) *sdp.Description {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "phones", name+".sdp"))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, text)
}

// What real phones offer is answered as the files beside it say: read those.
func TestAnswersToRealPhones(t *testing.T) {
	files, err := filepath.Glob("testdata/phones/*.sdp")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".sdp")
		t.Run(name, func(t *testing.T) {
			s, offer := side(), phone(t, name)
			wanted := sdp.Wanted{Ptime: offer.Audio().Ptime}
			if v := offer.Video(); v != nil {
				wanted.Video = v.Codecs
			}
			answer, agreed, err := s.Answer(safe, offer, wanted)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "answers", name+".sdp")
			if *update {
				if err := os.WriteFile(golden, answer, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || !bytes.Equal(answer, want) {
				t.Errorf("%v: answered\n%s\nwant\n%s", err, answer, want)
			}
			s.Last, s.Theirs, s.Agreed = answer, offer, agreed
			if again, _, err := s.Answer(safe, offer, wanted); err != nil || !bytes.Equal(again, answer) {
				t.Errorf("%v: answered the second time\n%s", err, again)
			}
			if _, err := sdp.Settle(offer, parse(t, answer)); err != nil {
				t.Errorf("the phone would not settle on it: %v", err)
			}
			if c := sdp.Compare(agreed, offer, offer); c != (sdp.Change{}) {
				t.Errorf("the same offer changes %+v", c)
			}
		})
	}
}

func TestParseReadsWhatCounts(t *testing.T) {
	m := phone(t, "chromium-audio").Audio()
	switch {
	case m == nil:
		t.Fatal("no audio")
	case m.Remote.Addr().IsValid(), m.Direction != sdp.SendRecv:
		t.Errorf("0.0.0.0 with ICE is read as %v %v: it is no hold", m.Remote, m.Direction)
	case !m.Mux, m.Mid != "0", m.Setup != "actpass", m.Ufrag != "b3/9", len(m.Fingerprints) != 1:
		t.Errorf("%+v", m)
	case m.Fingerprints[0].Hash != "sha-256", len(m.Codecs) != 8, m.Codecs[0].String() != "opus/48000/2":
		t.Errorf("%+v", m)
	}
	m = phone(t, "baresip-ice").Audio()
	if m.RTCP != netip.MustParseAddrPort("192.0.2.2:6411") || m.Ufrag != "Zkd4WCo" || m.Fingerprints[0].Hash != "sha-256" {
		t.Errorf("%+v", m)
	}
	m = phone(t, "linphone-sdes").Audio()
	if len(m.Keys) != 3 || m.Keys[2].Tag != 3 || m.Keys[2].Suite != "AES_256_CM_HMAC_SHA1_80" {
		t.Errorf("keys: %+v", m.Keys)
	}
	m = phone(t, "trunk").Audio()
	if len(m.Keys) != 3 || m.Ptime != 20 {
		t.Errorf("a lifetime and a master key identifier are fine: %+v", m.Keys)
	}
	m = phone(t, "old-hold").Audio()
	if m.Direction != sdp.SendOnly || m.Remote.Addr().IsValid() {
		t.Errorf("an old hold is %v to %v", m.Direction, m.Remote)
	}
	for name, want := range map[string]bool{"old-hold": true, "chromium-audio": false, "baresip-plain": false} {
		if got := phone(t, name).Holds(); got != want {
			t.Errorf("%s holds: %v", name, got)
		}
	}
	if m.Codecs[0].String() != "PCMU/8000" {
		t.Errorf("payload type 0 is %v", m.Codecs[0])
	}
}

const head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

func TestBrokenDescriptions(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                "",
		"no version":             "o=- 1 1 IN IP4 192.0.2.1\r\n",
		"another version":        "v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
		"no origin":              "v=0\r\ns=-\r\n",
		"short origin":           "v=0\r\no=- 1 1\r\n",
		"words in the origin":    "v=0\r\no=- one 1 IN IP4 192.0.2.1\r\n",
		"two origins":            head + "o=- 1 1 IN IP4 192.0.2.1\r\n",
		"no type":                head + "audio\r\n",
		"no connection":          "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n",
		"a number too much":      head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1.1\r\n",
		"an odd name":            head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone..example\r\n",
		"no name of a host":      head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 a_phone.example\r\n",
		"a long name":            head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 " + strings.Repeat("phone.", 50) + "example\r\n",
		"multicast":              head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 224.2.1.1\r\n",
		"an address with a TTL":  head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1/127\r\n",
		"a zone":                 head + "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 fe80::1%eth0\r\n",
		"ATM":                    head + "c=ATM NSAP 47.0091\r\n",
		"a port that is none":    head + "m=audio 70000 RTP/AVP 0\r\n",
		"a port that is a word":  head + "m=audio any RTP/AVP 0\r\n",
		"no format":              head + "m=audio 4000 RTP/AVP\r\n",
		"a mid that is no token": head + "m=audio 4000 RTP/AVP 0\r\na=mid:a b\r\n",
		"rtpmap of nothing":      head + "m=audio 4000 RTP/AVP 96\r\na=rtpmap:x opus/48000/2\r\n",
		"control characters":     head + "m=audio 4000 RTP/AVP 96\r\na=fmtp:96 a=\x01\r\n",
		"a return in the middle": head + "m=audio 4000 RTP/AVP 96\r\na=fmtp:96 a\rm=audio 1 RTP/AVP 0\r\n",
		"setup":                  head + "m=audio 4000 RTP/AVP 0\r\na=setup:both\r\n",
		"a short ufrag":          head + "m=audio 4000 RTP/AVP 0\r\na=ice-ufrag:abc\r\n",
		"a short password":       head + "m=audio 4000 RTP/AVP 0\r\na=ice-pwd:abcdefg\r\n",
		"odd characters of ICE":  head + "m=audio 4000 RTP/AVP 0\r\na=ice-ufrag:abc d\r\n",
		"a broken rtcp":          head + "m=audio 4000 RTP/AVP 0\r\na=rtcp:4001 IN\r\n",
		"too many lines":         head + strings.Repeat("m=audio 0 RTP/AVP 0\r\n", 17),
		"too long":               head + strings.Repeat("a=x\r\n", 7000),
	} {
		if d, err := sdp.Parse([]byte(text)); !errors.Is(err, sdp.ErrMalformed) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// A name (RFC 8866 §5.7) is not looked up, and is no hold: where the phone is, its packets tell.
func TestNamesAreNotLookedUp(t *testing.T) {
	for name, lines := range map[string]string{
		"of the phone":    "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone-7.example\r\n",
		"with a dot":      "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 Phone.Example.\r\n",
		"of its RTCP too": "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone\r\na=rtcp:4001 IN IP4 phone\r\n",
	} {
		d, err := sdp.Parse([]byte(head + lines))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m := d.Audio(); m.Remote.String() != "0.0.0.0:4000" || m.RTCP.String() != "0.0.0.0:4001" || d.Holds() {
			t.Errorf("%s: RTP goes to %v, RTCP to %v, it holds: %t", name, m.Remote, m.RTCP, d.Holds())
		}
	}
}

// A codec whose rtpmap cannot be read is passed over; the others stand, and so does the call (RFC 4475 §3.1.1.1).
func TestCodecsThatCannotBeReadAreAsIfNotOffered(t *testing.T) {
	for _, bad := range []string{"96 opus", "96 opus/0/2", "96 opus/48000/2/1", "96 opus/x", "96 /48000", "96 opus/48000/0", "0 PCMU"} {
		d, err := sdp.Parse([]byte("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 96 0 8\r\na=rtpmap:" + bad + "\r\n"))
		if err != nil {
			t.Errorf("%s: %v", bad, err)
			continue
		}
		number, _, _ := strings.Cut(bad, " ")
		for _, c := range d.Audio().Codecs {
			if strconv.Itoa(int(c.Payload)) == number {
				t.Errorf("%s became %v", bad, c)
			}
		}
		if d.Audio().Codecs[len(d.Audio().Codecs)-1].Name != "PCMA" {
			t.Errorf("%s took others with it: %v", bad, d.Audio().Codecs)
		}
	}
}

// An error is written to logs and to whoever sent the description: no key and no password stands in it.
func TestErrorsHoldNoSecrets(t *testing.T) {
	const secret = "tT7niYG3jI+WE4i+4bhXcQizNVqD/Ph3LF8eKjRl"
	for _, line := range []string{
		"a=crypto:x AES_CM_128_HMAC_SHA1_80 inline:" + secret, " a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + secret,
		"a=ice-pwd:" + secret + "(", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + secret + ";",
	} {
		offer, err := sdp.Parse([]byte(head + "m=audio 4000 RTP/SAVP 0\r\n" + line + "\r\n"))
		if err == nil {
			_, _, err = side().Answer(safe, offer, sdp.Wanted{})
		}
		if err == nil || strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestCryptoLines(t *testing.T) {
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
	for line, want := range map[string]bool{
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key:                                 true,
		"1 aes_cm_128_hmac_sha1_32 INLINE:" + key:                                 true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20":                       true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1048576":                    true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|1:4":                   true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1:4":                        true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|300:1":                 false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1:0":                        false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1:129":                      false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|-1:4":                       false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1:4|2^20":                   false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|":                      false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|2^20|1":                     false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + "|1:1;inline:" + key + "|2:1": false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " WSH=64":                     true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " -whatever":                  true,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " UNENCRYPTED_SRTP":           false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key + " KDR=1":                      false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:" + key[:38]:                            false,
		"1 AES_CM_128_HMAC_SHA1_80 inline:!" + key[1:]:                            false,
		"1 AES_CM_128_HMAC_SHA1_80 prompt:" + key:                                 false,
		"1 F8_128_HMAC_SHA1_80 inline:" + key:                                     false,
		"1 AES_CM_128_HMAC_SHA1_80":                                               false,
		"one AES_CM_128_HMAC_SHA1_80 inline:" + key:                               false,
		"-1 AES_CM_128_HMAC_SHA1_80 inline:" + key:                                false,
	} {
		offer := parse(t, []byte(head+"m=audio 4000 RTP/SAVP 0\r\na=crypto:"+line+"\r\n"))
		if got := len(offer.Media[0].Keys) == 1; got != want {
			t.Errorf("%s: taken %v", line, got)
		}
		if _, err := safe.Accepts(offer); (err == nil) != want {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// A phone may have its packets name their key (RFC 3711 §3.1): we keep by what, and answer with a key of ours that they need not name.
func TestAMasterKeyIdentifierIsKept(t *testing.T) {
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"
	offer := parse(t, []byte(head+"m=audio 4000 RTP/SAVP 0\r\na=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:"+key+"|2^31|258:4\r\n"))
	side := sdp.Side{Local: opened()}
	text, agreed, err := side.Answer(safe, offer, sdp.Wanted{Direction: sdp.SendRecv})
	if err != nil {
		t.Fatal(err)
	}
	if got := agreed.Audio.RemoteKey; got.Key.Reveal() != key+"|258:4" || got.Tag != 4 {
		t.Errorf("kept is %q under %d", got.Key.Reveal(), got.Tag)
	}
	if strings.Contains(string(text), "|") || !strings.Contains(string(text), "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:") {
		t.Errorf("the answer is %s", text)
	}
	for text, want := range map[string]string{"1:1": "01", "258:4": "00000102", "65535:2": "ffff", "65536:2": "", "1:10": "00000000000000000001",
		"18446744073709551615:8": "ffffffffffffffff", "18446744073709551616:9": "", "1": "", ":": "", "1:": "", "x:1": ""} {
		if got := hex.EncodeToString(sdp.Identifier(text)); got != want {
			t.Errorf("%s is %s, not %s", text, got, want)
		}
	}
}

// A glance sees what reading all of it finds, for all that phones have written.
func TestAGlanceSeesWhatIsRead(t *testing.T) {
	files, err := filepath.Glob("testdata/phones/*.sdp")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := parse(t, body)
		if audio, video := sdp.Glance(body); audio != (d.Audio() != nil) || video != (d.Video() != nil) {
			t.Errorf("%s: audio %t, video %t", file, audio, video)
		}
	}
}

func BenchmarkGlance(b *testing.B) {
	offer := text(b, "linphone-sdes")
	b.ReportAllocs()
	for b.Loop() {
		sdp.Glance(offer)
	}
}
