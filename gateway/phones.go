package gateway

import (
	"context"

	"demarc/telephony/edge"
	"demarc/telephony/registrar"
	"demarc/telephony/sip"
)

// phones sends what the telephony rules want said to a phone, over the phone's own flow.
type phones struct{ edge *edge.Edge }

// Probe sends an OPTIONS; any answer will do.
func (p phones) Probe(ctx context.Context, b registrar.Binding) error {
	r := sip.Request{Method: "OPTIONS", URI: b.Contact, Headers: []sip.Header{
		{Name: "From", Value: "<sip:" + b.AoR.Domain + ">;tag=" + sip.NewToken()},
		{Name: "To", Value: "<sip:" + b.AoR.String() + ">"},
		{Name: "Call-ID", Value: sip.NewToken()},
		{Name: "CSeq", Value: "1 OPTIONS"},
	}}
	if b.Path != "" {
		r.Headers = append(r.Headers, sip.Header{Name: "Route", Value: b.Path})
	}
	_, err := p.edge.Send(ctx, b.Flow, r)
	return err
}
