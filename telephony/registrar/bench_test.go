package registrar_test

import (
	"context"
	"testing"

	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// nowhere is a store that takes everything at once.
type nowhere struct{}

func (nowhere) Load(context.Context, string) ([]registration.Binding, error) { return nil, nil }
func (nowhere) Save(context.Context, registrar.Batch) error                  { return nil }

// BenchmarkRefresh is the cost of one authenticated refresh without the wire and without a database, by whose phone is the only one
// of its user and by whose is not.
func BenchmarkRefresh(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchmarkRefresh(b, 0) })
	b.Run("beside another", func(b *testing.B) { benchmarkRefresh(b, 1) })
}

func benchmarkRefresh(b *testing.B, others int) {
	m := newMemory()
	r := registrar.New(registrar.Config{Node: "n", Directory: m, Bindings: nowhere{}})
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := r.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	replies := make(chan registration.Reply, 1)
	ask := func(req *registration.Request) registration.Reply {
		r.Register(b.Context(), req, func(reply registration.Reply) { replies <- reply })
		return <-replies
	}
	p := &phone{aor: alice, password: "one", contact: "sip:1001@h", flow: flow(1)}
	challenge := ask(p.request())
	for i := range others {
		other := &phone{aor: alice, password: "one", contact: "sip:1001@other", flow: flow(uint64(2 + i)), cseq: 1}
		req := other.request()
		other.sign(req, ask(other.request()))
		if reply := ask(req); reply.Status != 200 {
			b.Fatalf("status %d", reply.Status)
		}
	}
	requests := make([]*registration.Request, b.N)
	for i := range requests {
		requests[i] = p.request()
		p.sign(requests[i], challenge)
		challenge.Challenges = nil
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, req := range requests {
		if reply := ask(req); reply.Status != 200 {
			b.Fatalf("status %d", reply.Status)
		}
	}
}
