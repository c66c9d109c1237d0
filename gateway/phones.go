package gateway

import (
	"context"
	"strconv"

	"demarc/telephony/edge"
	"demarc/telephony/events"
	"demarc/telephony/registrar"
	"demarc/telephony/sip"
)

// phones sends what the telephony rules want said to a phone, over the phone's own flow.
type phones struct{ edge *edge.Edge }

// Notify sends a NOTIFY within the dialog of its subscription.
func (p phones) Notify(ctx context.Context, n events.Notify) (status int, retry bool, err error) {
	r := sip.Request{Method: "NOTIFY", URI: n.URI, Body: n.Content}
	for _, route := range n.Route {
		r.Headers = append(r.Headers, sip.Header{Name: "Route", Value: route})
	}
	r.Headers = append(r.Headers,
		sip.Header{Name: "From", Value: n.From}, sip.Header{Name: "To", Value: n.To},
		sip.Header{Name: "Call-ID", Value: n.CallID}, sip.Header{Name: "CSeq", Value: strconv.FormatUint(uint64(n.CSeq), 10) + " NOTIFY"},
		sip.Header{Name: "Contact", Value: "<" + p.edge.ContactURI(n.Flow.Listener) + ">"},
		sip.Header{Name: "Event", Value: n.Event}, sip.Header{Name: "Subscription-State", Value: n.State},
		sip.Header{Name: "Content-Type", Value: n.Type})
	response, err := p.edge.Send(ctx, n.Flow, r)
	if err != nil {
		return 0, false, err
	}
	return response.Status, response.Header("Retry-After") != "", nil
}

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
