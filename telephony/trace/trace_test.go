package trace_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/trace"
	"demarc/telephony/wire"
)

var alice = telephony.NewAoR("1001", "pbx.test")

func message(callID string) []byte {
	return []byte("REGISTER sip:pbx.test SIP/2.0\r\nCall-ID: " + callID + "\r\nContent-Length: 0\r\n\r\n")
}

func TestRedact(t *testing.T) {
	const canary = "CANARY"
	for _, c := range []struct{ in, keeps string }{
		{"REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username=\"1001, \\\"x\", realm=\"r\", nonce=\"CANARY\", response=\"CANARY\", nc=00000001\r\nTo: <sip:a>\r\n\r\n",
			`Digest username="1001, \"x", realm="r", nonce=***, response=***, nc=00000001`},
		{"X y SIP/2.0\r\nproxy-authorization : Digest a=\"1\",\r\n response=\"CANARY\"\r\nTo: <sip:a>\r\n\r\n", "To: <sip:a>"},
		{"X y SIP/2.0\r\nAUTHORIZATION: Basic CANARY\r\n\r\n", "AUTHORIZATION: ***"},
		{"X y SIP/2.0\r\nContact: <sip:a@b;pn-provider=fcm;PN-PRID=CANARY;x=1>;expires=3\r\n\r\n", ";x=1>;expires=3"},
		{"REGISTER sip:a;pn-prid=CANARY SIP/2.0\r\nm: <sip:a;pn-tok=CANARY>, <sip:b;pn-prid=CANARY?x>\r\n\r\n", " SIP/2.0\r\nm: <sip:a;pn-tok=***>"},
		{"X y SIP/2.0\r\n\r\nv=0\r\na=crypto:1 AES CANARY\r\nA=Crypto:CANARY\na=Key-mgmt:mikey CANARY\r\nk=CANARY\r\na=rtpmap:0 PCMU\r\n", "a=rtpmap:0 PCMU"},
		{"X y SIP/2.0\r\n\r\nv=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:CANARY\r\na=mid:0\r\n", "a=ice-ufrag:abcd\r\na=ice-pwd:***\r\na=mid:0"},
		{"X y SIP/2.0\r\n\r\nv=0\r\na=tcap:1 RTP/SAVP\r\na=acap:1 crypto:1 AES_CM_128_HMAC_SHA1_80 inline:CANARY\r\nA=ACAP:2 ICE-PWD:CANARY\r\na=pcfg:1 t=1 a=1\r\n",
			"a=tcap:1 RTP/SAVP\r\na=acap:***\r\na=acap:***\r\na=pcfg:1 t=1 a=1"}, // RFC 5939
		{"NOTIFY a SIP/2.0\r\n\r\nBYE b SIP/2.0\r\nAuthorization: Digest a=\"CANARY\"\r\n b=\"CANARY\"\r\nVia: c\r\n", "a=***\r\nVia: c"}, // message/sipfrag
		{"X z SIP/2.0\r\nVia: ziza\r\nAuthorization: CANARY\r\n\tCANARY\r\nProxy-Authorization: CANARY\r\nTo: z\r\n\r\n",
			"Via: ziza\r\nAuthorization: ***\r\nProxy-Authorization: ***\r\nTo: z\r\n"},
		{"no line end pn-prid=CANARY", "no line end"},
		{"INVITE sip:alice:CANARY@h;transport=tls SIP/2.0\r\nTo: \"A: b@c\" <SIPS:alice:CANARY@h:5061;lr?x=y>;tag=1\r\nFrom: sip:a:CANARY@h, sip:sip:CANARY@h\r\n\r\n",
			"INVITE sip:alice:***@h;transport=tls SIP/2.0\r\nTo: \"A: b@c\" <SIPS:alice:***@h:5061;lr?x=y>;tag=1\r\nFrom: sip:a:***@h, sip:sip:***@h\r\n"},
		{"X y SIP/2.0\r\nCall-ID: a:b:c@h:1\r\nm: <sip:a@h>,<sip:gossip:CANARY@h>, sip:h:5060;x, sip:a@h;y\r\nRoute: <sip:h:5060;lr>,<sip:b:CANARY@[::1]:5060;lr>\r\n\r\n",
			"Call-ID: a:b:c@h:1\r\nm: <sip:a@h>,<sip:gossip:***@h>, sip:h:5060;x, sip:a@h;y\r\nRoute: <sip:h:5060;lr>,<sip:b:***@[::1]:5060;lr>\r\n"},
		{"X y SIP/2.0\r\nContact: <sip:a:CAN@RYCANARY@h;x>\r\nt: <sip:,sip:CANARY@h>\r\nAlert-Info: <http://a:CANARY@h/x@y:1>, <http://h:80/a@b>\r\nRefer-To: <sip:b,;:CANARY@h>\r\n\r\n",
			"<sip:a:***@h;x>\r\nt: <sip:,sip:***@h>\r\nAlert-Info: <http://a:***@h/x@y:1>, <http://h:80/a@b>\r\nRefer-To: <sip:b,;:***@h>"},
		{"NOTIFY a SIP/2.0\r\nAuthorization: Digest username=\"sip:a:CANARY@h\", uri=\"sip:a:CANARY@h\", response=\"CANARY\", x=\r\n uri=\"sip:a:CANARY@h\"\r\n\r\nINVITE sip:a:CANARY@h SIP/2.0\r\nu=http://a:CANARY@h",
			"username=\"sip:a:***@h\", uri=\"sip:a:***@h\", response=***"},
		{"BYE sip:a;Pn-Tok=CANARY SIP/2.0\r\n\r\n", "BYE sip:a;Pn-Tok=*** SIP/2.0"},
		{"Authorization: Digest response=CANARY", "Authorization: Digest response=***"},
	} {
		got := string(trace.Redact([]byte(c.in)))
		if strings.Contains(got, canary) || !strings.Contains(got, c.keeps) {
			t.Errorf("%q became\n%q, which should keep %q", c.in, got, c.keeps)
		}
	}
}

// Passwords in URIs are hidden in what is known to be plain too, in the answer that repeats them, and where a message is cut.
func TestPasswordsInURIsAreNotRemembered(t *testing.T) {
	const canary = "CANARY"
	request := []byte("REGISTER sip:pbx.test SIP/2.0\r\nTo: <sip:1001:CANARY@pbx.test>\r\nAuthorization: Digest username=\"1001\", response=\"CANARY\"\r\n\r\n")
	at := bytes.Index(request, []byte("Digest"))
	long := append(bytes.Repeat([]byte("X: y\r\n"), (16<<10)/6), "Contact: <sip:1001:CANARY@pbx.test>\r\n\r\n"...)
	long = append([]byte("OPTIONS sip:"), long[(16<<10)%6:]...)
	r := trace.NewRecorder(1 << 20)
	for _, m := range []trace.Message{
		{Text: request, Plain: true, Credentials: request[at : len(request)-4]},
		{Text: message("2"), Plain: true, Answer: []byte("SIP/2.0 200 OK\r\nContact: <sip:1001:CANARY@192.0.2.1>;expires=1\r\n\r\n")},
		{Text: long}, {Text: long[4:]}, {Text: long[8:]},
	} {
		m.AoR, m.Known = alice, true
		r.Record(m)
	}
	found := r.Of(alice, 0)
	if len(found) != 6 {
		t.Fatalf("%d messages", len(found))
	}
	for _, e := range found {
		if bytes.Contains(e.Text, []byte(canary)[:3]) {
			t.Errorf("%q", e.Text[max(0, len(e.Text)-300):])
		}
	}
	if !bytes.Contains(found[0].Text, []byte("To: <sip:1001:***@pbx.test>\r\nAuthorization: Digest username=\"1001\", response=***\r\n")) {
		t.Errorf("%q", found[0].Text)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("X y SIP/2.0\r\nAuthorization: Digest ", "\r\n\r\n")
	f.Add("X y SIP/2.0\r\nContact: <sip:a;pn-prid=", ">\r\n\r\n")
	f.Add("", `a="1,\"2", b=3, c="4`)
	f.Add("", `username="1001", realm="r", nonce="a, b", uri=sip, response="0", qop=auth, nc=1`)
	f.Add("", `nonce="a",response="b", =c, d, e= "f", nonce=g "`)
	for _, secret := range []string{"\r\na=crypto:1", "\r\n \tA=CRYPTO:2", "\r\nk=3", "\r\na=key-mgmt:mikey 3", "\r\na=ice-pwd:3", "\r\nA=ACAP:3 crypto:1", "\r\n\tK=4", ";pn-tok=5", ";PN-prid=6", "<sip:a:7@h>", "\r\n\r\nsip:a:7@h",
		"Authorization: 7", "\r\n\r\nAuthorization: 7\r\n 8\r\n\r\n 9", "pROXY-aUTHORIZATIOn\t:8\r\n 9"} {
		f.Add("X y SIP/2.0\r\n", secret) // each alone
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		text := []byte(before + after)
		if quick, lines := trace.Redact(text), trace.RedactLines(text); !bytes.Equal(quick, lines) {
			t.Errorf("%q becomes %q, and read line by line %q", text, quick, lines)
		}
		secret := trace.Redact([]byte("X y SIP/2.0\r\nAuthorization: Digest response=\"0123456789abcdef\"\r\n" + after))
		if usual, any, ok := trace.Parameters([]byte(after)); ok && usual != any {
			t.Errorf("%q is read as %q or as %q", after, usual, any)
		}
		if quick, close, ok := trace.Authorizations([]byte(after)); ok && quick != close {
			t.Errorf("%q is kept as %q or as %q", after, quick, close)
		}
		if bytes.Contains(secret[:min(80, len(secret))], []byte("0123456789abcdef")) {
			t.Errorf("%q", secret)
		}
	})
}

// What is known to be plain is looked at less, and comes out the same.
func FuzzPlain(f *testing.F) {
	const needed = "\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:a>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
	seeds := [][2]string{
		{"REGISTER sip:a;pn-prid=1 SIP/2.0", "Contact: <sip:a;PN-TOK=2>\r\n"},
		{"REGISTER sip:a;pn-tok=1 SIP/2.0", ""},
		{"SIP/2.0 401 Unauthorized", "WWW-Authenticate: Digest nonce=\"1\"\r\n"},
		{"REGISTER sip:a SIP/2.0", "Authorization: Digest username=\"1\", nonce=\"2\", response=\"3\"\r\nContact: <sip:a;pn-tok=4>\r\n"},
		{"REGISTER sip:a;pn-prid=1 SIP/2.0", "authorization :\tDigest Nonce=1,\r\n  response=\"2\" \r\n"},
		{"REGISTER sip:a SIP/2.0", "Authorization: Basic zZ==\r\n"},
		{"REGISTER sip:a SIP/2.0", "Authorization:\r\n"},
	}
	scan := func(m *wire.Message, first, fields string) bool {
		return m.Scan([]byte(first+needed+fields+"\r\n"), wire.Limits{}) == nil && len(m.Authorization) <= 1 && len(m.ProxyAuthorization)+len(m.Body) == 0
	}
	for _, s := range seeds {
		if !scan(new(wire.Message), s[0], s[1]) {
			f.Fatalf("%q is not plain", s)
		}
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, first, fields string) {
		var m wire.Message
		if !scan(&m, first, fields) {
			return
		}
		kept := func(plain bool) []byte { // apart, for two long messages have no room at one phone
			r := trace.NewRecorder(1 << 20)
			message := trace.Message{AoR: alice, Text: m.Head, Plain: plain}
			if len(m.Authorization) > 0 {
				message.Credentials = m.Authorization[0]
			}
			r.Record(message)
			got := r.Of(alice, 0)
			if len(got) != 1 {
				t.Fatalf("of %q %d messages are kept", m.Head, len(got))
			}
			return got[0].Text
		}
		if looked, plain := kept(false), kept(true); !bytes.Equal(looked, plain) {
			t.Errorf("%q is kept as %q, and when it is known to be plain as %q", m.Head, looked, plain)
		}
	})
}

// What was written is read again, whatever it is.
func TestRecordsComeBack(t *testing.T) {
	r := trace.NewRecorder(8 << 20)
	var all []trace.Message
	for i, size := range []int{0, 1, 300, 511, 512, 513, 5000, 16 << 10} {
		all = append(all, trace.Message{
			At: time.Unix(1_700_000_000, int64(i)), AoR: alice, Inbound: i%2 == 0, Known: i%3 == 0,
			Transport: telephony.TLS, Local: netip.MustParseAddrPort("[fe80::1%eth0]:5061"), Text: bytes.Repeat([]byte("x"), size),
		})
	}
	for _, m := range all {
		r.Record(m)
	}
	got := r.Of(alice, 0)
	if len(got) != len(all) {
		t.Fatalf("%d of %d", len(got), len(all))
	}
	for i, e := range got {
		if want := all[i]; !e.At.Equal(want.At) || !bytes.Equal(e.Text, want.Text) || e.AoR != want.AoR || e.Inbound != want.Inbound ||
			e.Known != want.Known || e.Transport != want.Transport || e.Local != want.Local || e.Remote != want.Remote {
			t.Errorf("%d: %+v", i, e)
		}
	}
}

// An answer is a message of its own, right behind what it answers, and hides the tokens that it repeats.
func TestAnswersFollow(t *testing.T) {
	r := trace.NewRecorder(8 << 20)
	at := time.Unix(1_700_000_000, 0)
	for n := range 70 {
		r.Record(trace.Message{
			At: at, AoR: alice, Inbound: true, Known: true, Transport: telephony.UDP, Remote: netip.MustParseAddrPort("192.0.2.7:5060"),
			Text: []byte(fmt.Sprint("REGISTER sip:a SIP/2.0\r\nCall-ID: ", n, "\r\nContact: <sip:a;pn-tok=1>\r\n\r\n")), Plain: true,
			Answer: []byte(fmt.Sprint("SIP/2.0 200 OK\r\nCall-ID: ", n, "\r\nContact: <sip:a;pn-tok=1>\r\n\r\n")),
		})
	}
	got := r.Of(alice, 0)
	if len(got) != 64 {
		t.Fatalf("%d messages", len(got))
	}
	for i, e := range got {
		first := [...]string{"REGISTER sip:a SIP/2.0", "SIP/2.0 200 OK"}[i%2]
		text := fmt.Sprint(first, "\r\nCall-ID: ", 38+i/2, "\r\nContact: <sip:a;pn-tok=***>\r\n\r\n")
		if string(e.Text) != text || e.Inbound != (i%2 == 0) || !e.Known || !e.At.Equal(at) || e.Transport != telephony.UDP ||
			e.Remote.Port() != 5060 || e.Answer != nil || i > 0 && e.Seq <= got[i-1].Seq {
			t.Errorf("%d: %q %+v", i, e.Text, e)
		}
	}
}

func TestRingKeepsTheLast(t *testing.T) {
	r := trace.NewRecorder(8 << 20)
	for i := range 100 {
		r.Record(trace.Message{AoR: alice, Text: message(fmt.Sprint("call-", i)), Known: true})
	}
	got := r.Of(alice, 0)
	if len(got) != 64 || got[0].CallID != "call-36" || got[63].CallID != "call-99" {
		t.Fatalf("%d from %s to %s", len(got), got[0].CallID, got[len(got)-1].CallID)
	}
	if later := r.Of(alice, got[61].Seq); len(later) != 2 {
		t.Errorf("%d after the third last", len(later))
	}
	if call := r.Call("pbx.test", "call-70", 0); len(call) != 1 || string(call[0].Text) != string(message("call-70")) {
		t.Errorf("%+v", call)
	}
	if call := r.Call("other.test", "call-70", 0); len(call) != 0 {
		t.Errorf("another domain's call: %+v", call)
	}
}

// What strangers say in a phone's name pushes out nothing that the phone said or was told, and is remembered beside it.
func TestStrangersPushOutNobody(t *testing.T) {
	r := trace.NewRecorder(8 << 20)
	r.Record(trace.Message{AoR: alice, Text: message("first"), Known: true})
	for i := range 1000 {
		r.Record(trace.Message{AoR: alice, Text: message(fmt.Sprint("guess-", i))})
	}
	r.Record(trace.Message{AoR: alice, Text: message("last"), Known: true})
	got := r.Of(alice, 0)
	if len(got) != 66 || got[0].CallID != "first" || got[1].CallID != "guess-936" || got[65].CallID != "last" {
		t.Fatalf("%d from %s to %s", len(got), got[0].CallID, got[len(got)-1].CallID)
	}
	if later := r.Of(alice, got[63].Seq); len(later) != 2 || later[0].CallID != "guess-999" {
		t.Errorf("%d after the third last", len(later))
	}
}

// Each of many phones is found, however many came and went before it.
func TestEverybodyIsFound(t *testing.T) {
	r := trace.NewRecorder(4 << 20)
	record := func(n int) {
		r.Record(trace.Message{AoR: telephony.NewAoR(fmt.Sprint(n), "pbx.test"), Text: message(fmt.Sprint("call-", n)), Known: true})
	}
	for n := range 20_000 {
		record(n)
	}
	for n := 19_000; n < 20_000; n++ {
		record(n)
		found := r.Of(telephony.NewAoR(fmt.Sprint(n), "pbx.test"), 0)
		if len(found) != 2 || found[1].CallID != fmt.Sprint("call-", n) {
			t.Fatalf("%d messages of %d", len(found), n)
		}
	}
	if found := r.Of(telephony.NewAoR("1", "pbx.test"), 0); len(found) > 0 {
		t.Error("the first is not forgotten")
	}
	if found := r.Call("pbx.test", "call-19500", 0); len(found) != 2 {
		t.Errorf("%d messages of a call", len(found))
	}
}

// A flood of strangers neither grows the memory nor pushes out a phone that authenticated.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 1 << 20
	r := trace.NewRecorder(limit)
	r.Record(trace.Message{AoR: alice, Text: message("mine"), Known: true})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 5_000 {
				r.Record(trace.Message{AoR: telephony.NewAoR(fmt.Sprint(g, "-", i), "pbx.test"), Text: message("x")})
			}
		})
	}
	all.Wait()
	if r.Bytes() > limit/4 {
		t.Errorf("strangers take %d bytes of %d", r.Bytes(), limit)
	}
	if len(r.Of(alice, 0)) != 1 {
		t.Error("the known phone's messages are gone")
	}
	for i := range 20_000 {
		r.Record(trace.Message{AoR: telephony.NewAoR(fmt.Sprint(i), "pbx.test"), Text: message("x"), Known: true})
	}
	if r.Bytes() > limit {
		t.Errorf("%d bytes of %d", r.Bytes(), limit)
	}
	huge := trace.NewRecorder(1 << 10)
	huge.Record(trace.Message{AoR: alice, Text: bytes.Repeat([]byte("a"), 1<<20), Known: true})
	if huge.Bytes() > 1<<10 {
		t.Errorf("one message takes %d bytes", huge.Bytes())
	}
}

func TestPcapIsReadByTshark(t *testing.T) {
	var file bytes.Buffer
	if err := trace.WritePcapHeader(&file); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 123456000)
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("[2001:db8::1]:5060")
	for _, p := range [][2]netip.AddrPort{{v4, netip.MustParseAddrPort("127.0.0.1:5060")}, {v6, v6}, {v4, v6}, {{}, v4}} {
		if err := trace.WritePcapPacket(&file, at, p[0], p[1], message("call-1")); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	tool, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Fatal("tcpdump is not installed: run test/setup/packages")
	}
	out, err := exec.Command(tool, "-nnvr", path).CombinedOutput()
	if err != nil || bytes.Count(out, []byte("REGISTER sip:pbx.test")) != 4 || bytes.Contains(out, []byte("bad")) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestFindPagesWhatThereIs(t *testing.T) {
	r := trace.NewRecorder(16 << 20)
	big := strings.Repeat("x", 12<<10)
	for i := range 20 {
		r.Record(trace.Message{AoR: alice, Known: true, Text: append(message(fmt.Sprint("call-", i%2)), big...)})
	}
	for of, want := range map[string]int{
		"1001": 20, "1001@pbx.test": 20, "sip:1001": 20, "call-1": 10, "1002": 0, "1001@other.test": 0,
	} {
		q, got, pages := trace.Question{Domain: "pbx.test", Of: of}, 0, 0
		for more := true; more; pages++ {
			page := r.Find(q)
			for _, e := range page.Entries {
				if e.Seq <= q.After {
					t.Fatalf("%s: %d after %d", of, e.Seq, q.After)
				}
				q.After = e.Seq
			}
			if encoded, err := json.Marshal(page); err != nil || len(encoded) > 64<<10 {
				t.Fatalf("%s: a page of %d bytes, %v", of, len(encoded), err)
			}
			got, more = got+len(page.Entries), page.More
		}
		if got != want || want > 0 && pages < 2 {
			t.Errorf("%s: %d messages in %d pages, want %d", of, got, pages, want)
		}
	}
	if got := r.Find(trace.Question{Domain: "other.test", Of: "call-1"}); len(got.Entries) > 0 {
		t.Error("another domain's call is told")
	}
	if off := (*trace.Recorder)(nil).Find(trace.Question{}); !off.Off {
		t.Errorf("%+v", off)
	}
}

func TestCursor(t *testing.T) {
	c := trace.Cursor{"node-a": 7, "node-b": 1 << 52}
	if got, err := trace.ParseCursor(c.String()); err != nil || !maps.Equal(got, c) {
		t.Errorf("%v %v", got, err)
	}
	if got, err := trace.ParseCursor(""); err != nil || got == nil || len(got) > 0 {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"7", "!", "bnVsbA", "WzFd"} { // the last two are null and [1]
		if _, err := trace.ParseCursor(bad); !errors.Is(err, trace.ErrCursor) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Whoever follows a node reads on when it has started anew.
func TestLaterRecordersCountOn(t *testing.T) {
	first := trace.NewRecorder(1 << 20)
	for range 100 {
		first.Record(trace.Message{AoR: alice, Text: message("a")})
	}
	last := first.Of(alice, 0)
	time.Sleep(time.Millisecond)
	second := trace.NewRecorder(1 << 20)
	second.Record(trace.Message{AoR: alice, Text: message("b")})
	if got := second.Of(alice, last[len(last)-1].Seq); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}
}
