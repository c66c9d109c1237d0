package registrar_test

import (
	"context"
	"testing"

	"demarc/telephony/registrar"
)

// nowhere is a store that takes everything at once.
type nowhere struct{}

func (nowhere) Load(context.Context, string) ([]registrar.Binding, error) { return nil, nil }
func (nowhere) Save(context.Context, registrar.Batch) error               { return nil }

// BenchmarkRefresh is the cost of one authenticated refresh without the wire and without a database.
func BenchmarkRefresh(b *testing.B) {
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
	replies := make(chan registrar.Reply, 1)
	p := &phone{aor: alice, password: "one", contact: "sip:1001@h", flow: flow(1)}
	r.Register(b.Context(), p.request(), func(reply registrar.Reply) { replies <- reply })
	challenge := <-replies
	requests := make([]*registrar.Request, b.N)
	for i := range requests {
		requests[i] = p.request()
		p.sign(requests[i], challenge)
		challenge.Challenges = nil
	}
	b.ReportAllocs()
	b.ResetTimer()
	for _, req := range requests {
		r.Register(b.Context(), req, func(reply registrar.Reply) { replies <- reply })
		if reply := <-replies; reply.Status != 200 {
			b.Fatalf("status %d", reply.Status)
		}
	}
}
