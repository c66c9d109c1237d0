package nodes

import (
	"context"
	"errors"
	"time"

	"demarc/telephony"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// phoneTimeout is how long a phone may take: timer F of its transaction is the one that ends it.
const phoneTimeout = 33 * time.Second

// forward sends what another node asks for over the flow that its token names, without waiting for it here. The
// connection's limit bounds how many are under way.
func (n *Nodes) forward(m *wire.Message, respond func(sip.Answer)) {
	if n.life.Err() != nil {
		respond(sip.Answer{Status: 503})
		return
	}
	n.work.Go(func() {
		answer := sip.Answer{Status: 500} // of a panic
		defer func() { respond(answer) }()
		defer n.recovered()
		answer = n.deliver(m)
	})
}

func (n *Nodes) deliver(m *wire.Message) sip.Answer {
	if subject, ok := n.question(m); ok {
		return n.answer(subject, m.Body)
	}
	flow, _, err := n.flow(m)
	if err != nil {
		return sip.Answer{Status: 403}
	}
	if isCall(m) && !m.Is("NOTIFY") { // nobody takes calls here
		return sip.Answer{Status: 501}
	}
	request, ok := sip.Forwarded(m)
	if !ok {
		return sip.Answer{Status: 483}
	}
	ctx, cancel := context.WithTimeout(n.life, phoneTimeout)
	defer cancel()
	response, err := n.cfg.Flows.Send(ctx, flow, request)
	switch {
	case errors.Is(err, n.cfg.Gone):
		return sip.Answer{Status: 430}
	case errors.Is(err, sip.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return sip.Answer{Status: 408}
	case err != nil:
		return sip.Answer{Status: 503}
	}
	return sip.Returned(response)
}

// flow opens the token in the topmost Route, and returns the parameters of its URI.
func (n *Nodes) flow(m *wire.Message) (f telephony.Flow, params []byte, err error) {
	if len(m.Route) == 0 {
		return f, nil, ErrToken
	}
	value, _, _ := wire.NextValue(m.Route[0])
	route, ok := wire.ParseNameAddr(value)
	uri, fine := wire.ParseURI(route.URI)
	if !ok || !fine || string(uri.Host) != n.cfg.Node {
		return f, nil, ErrToken
	}
	f, err = n.cfg.Tokens.Open(string(uri.User))
	return f, uri.Params, err
}
