package edge_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/edge"
	"demarc/telephony/registrar"
	"demarc/telephony/trace"
)

// everybody is a directory in which every user's password is "p" and the name.
type everybody struct{}

func (everybody) Domain(context.Context, string) (registrar.Domain, error) {
	return registrar.Domain{Account: "a", Realm: "example.com"}, nil
}

func (everybody) Subscriber(_ context.Context, aor telephony.AoR) (registrar.Subscriber, error) {
	return registrar.Subscriber{Account: "a", AoR: aor, AuthUsername: aor.User, Hashes: []digest.Hash{
		digest.NewHash(digest.MD5, aor.User, "example.com", account.Secret("p"+aor.User)),
	}}, nil
}

func (everybody) Version(context.Context) (int64, error) { return 1, nil }

// nowhere keeps nothing.
type nowhere struct{}

func (nowhere) Load(context.Context, string) ([]registrar.Binding, error) { return nil, nil }

func (nowhere) Save(context.Context, registrar.Batch) error { return nil }

// BenchmarkExchange is what a registration with digest costs without sockets and store: a REGISTER and its 401, a REGISTER
// with credentials and its 200. A microsecond or so of it is the phone's: its own digest.
func BenchmarkExchange(b *testing.B) {
	e, err := edge.New(edge.Config{
		Listeners: []edge.Listener{{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0"}},
		Trace:     trace.NewRecorder(16 << 20),
	})
	if err != nil {
		b.Fatal(err)
	}
	r := registrar.New(registrar.Config{Node: "n", Directory: everybody{}, Bindings: nowhere{}, Volatile: true})
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Stop(context.Background()) }()
	datagram, last := edge.Feed(e, r)
	from := netip.MustParseAddrPort("127.0.0.1:40000")
	const phones = 1000
	users := make([]string, phones)
	ha1 := make([]string, phones)
	for i := range users {
		users[i] = strconv.Itoa(100000 + i)
		ha1[i] = md5hex([]byte(users[i] + ":example.com:p" + users[i]))
	}
	cseq := int(time.Now().UnixMilli() & (1<<30 - 1))
	raw := make([]byte, 0, 1024)
	send := func(user, authorization string) []byte {
		cseq++
		raw = fmt.Appendf(raw[:0], "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:40000;rport;branch=z9hG4bK%s%d\r\n"+
			"Max-Forwards: 70\r\nFrom: <sip:%s@example.com>;tag=t%s\r\nTo: <sip:%s@example.com>\r\nCall-ID: 1-%s\r\nCSeq: %d REGISTER\r\n"+
			"Contact: <sip:%s@127.0.0.1:40000>\r\nExpires: 600\r\nUser-Agent: bench\r\n%sContent-Length: 0\r\n\r\n",
			user, cseq, user, user, user, user, cseq, user, authorization)
		datagram(raw, from)
		mark := fmt.Appendf(nil, "\r\nCSeq: %d ", cseq)
		for a := last(); ; a = last() { // rarely, and the first time, a shard's worker answers a moment later
			if bytes.Contains(a, mark) {
				return a
			}
			runtime.Gosched()
		}
	}
	exchange := func(n int) []byte {
		n %= phones
		challenge := send(users[n], "")
		_, rest, _ := bytes.Cut(challenge, []byte(`nonce="`))
		nonce, _, _ := bytes.Cut(rest, []byte(`"`))
		response := md5hex([]byte(ha1[n] + ":" + string(nonce) + ":00000001:0a4f113b:auth:" + md5hex([]byte("REGISTER:sip:example.com"))))
		return send(users[n], `Authorization: Digest username="`+users[n]+`", realm="example.com", nonce="`+string(nonce)+
			`", uri="sip:example.com", response="`+response+`", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001`+"\r\n")
	}
	for n := range phones {
		exchange(n)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; b.Loop(); n++ {
		if a := exchange(n); !bytes.HasPrefix(a, []byte("SIP/2.0 200")) {
			b.Fatalf("%s", a)
		}
	}
}

func md5hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}
