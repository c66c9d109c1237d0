package edge_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/edge"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
	"demarc/telephony/trace"
)

// ownPassword is a directory in which each name of its domain has itself as password, and a store that takes everything.
type ownPassword struct{ domain string }

func (d ownPassword) Domains(context.Context) (map[string]authentication.Domain, error) {
	return map[string]authentication.Domain{d.domain: {Account: "acc_1", Realm: d.domain}}, nil
}

func (d ownPassword) Subscriber(_ context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	return authentication.Subscriber{Account: "acc_1", AoR: aor, AuthUsername: aor.User, Hashes: []digest.Hash{
		digest.NewHash(digest.MD5, aor.User, d.domain, account.Secret(aor.User)),
	}}, nil
}

func (ownPassword) Version(context.Context) (int64, error)                       { return 1, nil }
func (ownPassword) Load(context.Context, string) ([]registration.Binding, error) { return nil, nil }
func (ownPassword) Save(context.Context, registrar.Batch) error                  { return nil }

// benchPhone registers again and again, as desk phones do: REGISTER, 401, REGISTER with digest, 200.
type benchPhone struct {
	user, ha1 string
	cseq      int
	nonce     []byte

	parameters string // of its Contact
	more       string // header lines
}

func newBenchPhone(user string) *benchPhone {
	sum := md5.Sum([]byte(user + ":example.com:" + user))
	return &benchPhone{user: user, ha1: hex.EncodeToString(sum[:]), more: "User-Agent: bench\r\n"}
}

// learn takes the nonce out of a challenge.
func (p *benchPhone) learn(challenge []byte) {
	_, nonce, _ := bytes.Cut(challenge, []byte(`nonce="`))
	nonce, _, _ = bytes.Cut(nonce, []byte(`"`))
	p.nonce = bytes.Clone(nonce)
}

func (p *benchPhone) request(authorization string) []byte {
	p.cseq++
	return fmt.Appendf(nil, "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK%s%d\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:%[1]s@example.com>;tag=t%[1]s\r\nTo: <sip:%[1]s@example.com>\r\nCall-ID: 7-%[1]s\r\n"+
		"CSeq: %[2]d REGISTER\r\nContact: <sip:%[1]s@192.0.2.1:5060>%[5]s\r\nExpires: 600\r\n%[4]s%[3]sContent-Length: 0\r\n\r\n",
		p.user, p.cseq, authorization, p.more, p.parameters)
}

func (p *benchPhone) signed() []byte {
	hash := func(s string) string {
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	const uri = "sip:example.com"
	return p.request(fmt.Sprintf(`Authorization: Digest username="%s", realm="example.com", nonce="%s", uri="%s", response="%s", `+
		"algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=00000001\r\n", p.user, p.nonce, uri,
		hash(fmt.Sprintf("%s:%s:00000001:0a4f113b:auth:%s", p.ha1, p.nonce, hash("REGISTER:"+uri)))))
}

// BenchmarkExchange is the whole exchange of one phone out of ten thousand behind one address, with bindings in memory and
// shipped defaults: two requests and their answers, without the system's part.
func BenchmarkExchange(b *testing.B) {
	directory := ownPassword{"example.com"}
	r := registrar.New(registrar.Config{Node: "n", Directory: directory, Bindings: directory, Volatile: true})
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Stop(context.Background()) }()
	e, err := edge.New(edge.Config{Trace: trace.NewRecorder(32 << 20),
		Limits:    edge.Limits{UDPReplies: 1 << 30, Admission: 1 << 30, Waiting: 1 << 30},
		Listeners: []edge.Listener{{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0"}}})
	if err != nil {
		b.Fatal(err)
	}
	feed := edge.Feed(e, r)
	const atOnce = 500
	phones := make([]*benchPhone, 10_000)
	for i := range phones {
		phones[i] = newBenchPhone(fmt.Sprint(100_000 + i))
	}
	source := netip.MustParseAddrPort("192.0.2.1:5060")
	exchange := func(group []*benchPhone, timed bool) {
		messages := make([][]byte, len(group))
		send := func(status string, each func(i int, answer []byte)) {
			if timed {
				b.StartTimer()
			}
			answers := feed(messages, source)
			if timed {
				b.StopTimer()
			}
			if len(answers) != len(group) {
				b.Fatalf("%d answers to %d requests", len(answers), len(group))
			}
			for i, answer := range answers {
				if string(answer[8:11]) != status {
					b.Fatalf("%s", answer)
				}
				each(i, answer)
			}
		}
		for i, p := range group {
			messages[i] = p.request("")
		}
		send("401", func(i int, answer []byte) { group[i].learn(answer) })
		for i, p := range group {
			messages[i] = p.signed()
		}
		send("200", func(int, []byte) {})
	}
	for i := 0; i+atOnce <= len(phones); i += atOnce {
		exchange(phones[i:i+atOnce], false)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.StopTimer()
	for done := 0; done < b.N; done += atOnce {
		at := done % (len(phones) / atOnce * atOnce)
		exchange(phones[at:at+atOnce], true)
	}
}
