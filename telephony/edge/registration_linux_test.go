package edge_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/edge"
	"demarc/telephony/registrar"
	"demarc/telephony/trace"
)

// office is a directory in which everybody's password is their name, and a store that takes everything.
type office struct{ domain string }

func (o office) Domains(context.Context) (map[string]registrar.Domain, error) {
	return map[string]registrar.Domain{o.domain: {Account: "acc_1", Realm: o.domain}}, nil
}

func (o office) Subscriber(_ context.Context, aor telephony.AoR) (registrar.Subscriber, error) {
	return registrar.Subscriber{Account: "acc_1", AoR: aor, AuthUsername: aor.User, Hashes: []digest.Hash{
		digest.NewHash(digest.MD5, aor.User, o.domain, account.Secret(aor.User)),
	}}, nil
}

func (office) Version(context.Context) (int64, error)                    { return 1, nil }
func (office) Load(context.Context, string) ([]registrar.Binding, error) { return nil, nil }
func (office) Save(context.Context, registrar.Batch) error               { return nil }

// handset registers as a phone does.
type handset struct {
	user, ha1 string
	cseq      int
	out       []byte
}

func (h *handset) register(from netip.AddrPort, domain string, authorization []byte) []byte {
	h.cseq++
	number := strconv.Itoa(h.cseq)
	b := append(h.out[:0], "REGISTER sip:"+domain+" SIP/2.0\r\nVia: SIP/2.0/UDP "...)
	b = append(from.AppendTo(b), ";rport;branch=z9hG4bK"+h.user+number+"\r\nMax-Forwards: 70\r\nFrom: <sip:"+h.user+"@"+domain+
		">;tag=t"+h.user+"\r\nTo: <sip:"+h.user+"@"+domain+">\r\nCall-ID: 7-"+h.user+"\r\nCSeq: "+number+
		" REGISTER\r\nContact: <sip:"+h.user+"@"...)
	b = append(from.AppendTo(b), ">\r\nExpires: 600\r\nUser-Agent: bench\r\n"...)
	h.out = append(append(b, authorization...), "Content-Length: 0\r\n\r\n"...)
	return h.out
}

// sign answers a challenge (RFC 7616 §3.4.1).
func (h *handset) sign(domain string, challenge []byte) []byte {
	_, rest, _ := bytes.Cut(challenge, []byte(`nonce="`))
	nonce, _, _ := bytes.Cut(rest, []byte(`"`))
	uri := "sip:" + domain
	response := hexMD5(h.ha1 + ":" + string(nonce) + ":00000001:0a4f113b:auth:" + hexMD5("REGISTER:"+uri))
	return []byte(`Authorization: Digest username="` + h.user + `", realm="` + domain + `", nonce="` + string(nonce) + `", uri="` + uri +
		`", response="` + response + `", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001` + "\r\n")
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// threadTime returns how long this thread has run: what else the machine does is not in it.
func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkRegistration is what a REGISTER costs between the system's calls: its challenge, the answer to that, and the 200,
// with digest, trace and bindings in memory. The phones' own work is not in it.
func BenchmarkRegistration(b *testing.B) {
	const domain, phones, together, addresses = "perf.test", 9728, 32, 8
	r := registrar.New(registrar.Config{Node: "n", Directory: office{domain}, Bindings: office{domain}, Volatile: true})
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Stop(context.Background()) }()
	e, err := edge.New(edge.Config{
		Listeners: []edge.Listener{{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0"}},
		Trace:     trace.NewRecorder(32 << 20), Limits: edge.Limits{Admission: 1 << 20, UDPReplies: 1 << 20},
	})
	if err != nil {
		b.Fatal(err)
	}
	var feeds [addresses]func([][]byte, netip.AddrPort) [][]byte
	for i := range feeds {
		feeds[i] = edge.Feed(e, r)
	}
	all := make([]handset, phones)
	for i := range all {
		user := strconv.Itoa(100_000 + i)
		all[i] = handset{user: user, ha1: hexMD5(user + ":" + domain + ":" + user)}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var took time.Duration
	batch := make([][]byte, together)
	turn := func(n int) {
		some, from := all[n*together%phones:][:together], netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(40_000+n%addresses))
		ask := func(status string) [][]byte {
			began := threadTime(b)
			answers := feeds[n%addresses](batch, from)
			took += threadTime(b) - began
			for _, a := range answers {
				if !bytes.HasPrefix(a, []byte("SIP/2.0 "+status)) {
					b.Fatalf("not %s: %s", status, a)
				}
			}
			if len(answers) != together {
				b.Fatalf("%d answers", len(answers))
			}
			return answers
		}
		for i := range some {
			batch[i] = some[i].register(from, domain, nil)
		}
		for i, challenge := range ask("401") {
			batch[i] = some[i].register(from, domain, some[i].sign(domain, challenge))
		}
		ask("200")
	}
	const round = phones / together
	for n := range 2 * round { // everybody is known then
		turn(n)
	}
	b.ReportAllocs()
	n, best := 0, time.Duration(1<<62)
	for b.Loop() { // of so many each; the quickest says what it costs when nothing else runs
		took = 0
		for range round {
			turn(n)
			n++
		}
		best = min(best, took)
	}
	b.ReportMetric(float64(best.Nanoseconds())/phones, "ns/registration")
}
