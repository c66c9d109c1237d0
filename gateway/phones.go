package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"demarc/api"
	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/events"
	"demarc/telephony/registration"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// phones sends what the telephony rules want said to a phone, over the phone's own flow.
type phones struct{ g *Gateway }

// send sends a request over the binding's flow, at whatever node that is.
func (p phones) send(ctx context.Context, b registration.Binding, r sip.Request) (*sip.Response, error) {
	if b.Path != "" {
		r.Headers = append([]sip.Header{{Name: "Route", Value: b.Path}}, r.Headers...)
	}
	switch t := &p.g.telephony; {
	case b.Node == p.g.cfg.Telephony.Node:
		return t.edge.Send(ctx, b.Flow, r)
	case p.g.nodes == nil:
		return nil, fmt.Errorf("the phone is at node %s, and this node has none beside it", b.Node)
	default:
		return p.g.nodes.Send(ctx, b.Node, b.Flow, r)
	}
}

// deliver sends a request to one phone: over one flow at a time, and the next when that one fails (RFC 5626 §7). The
// phone itself answering, whatever it says, is the end. Without an answer it returns the binding that was tried last.
func (p phones) deliver(ctx context.Context, t registration.Target, request func(registration.Binding) sip.Request) (
	*sip.Response, registration.Binding, error) {
	err := errors.New("it has no open connection: only a push could wake it")
	var last registration.Binding
	if len(t.Asleep) > 0 {
		last = t.Asleep[0]
	}
	for _, b := range t.Flows {
		last = b
		var response *sip.Response
		response, err = p.send(ctx, b, request(b))
		if err == nil && response.Status != 430 && response.Status != 408 {
			return response, b, nil
		}
		if err == nil {
			if response.Status == 430 {
				p.g.telephony.registrar.FlowFailed(b)
			}
			err = fmt.Errorf("%d %s", response.Status, response.Reason)
		}
	}
	return nil, last, err
}

// Notify sends a NOTIFY within the dialog of its subscription.
func (p phones) Notify(ctx context.Context, n events.Notify) (status int, again time.Duration, err error) {
	r := sip.Request{Method: "NOTIFY", URI: n.URI, Body: n.Content}
	for _, route := range n.Route {
		r.Headers = append(r.Headers, sip.Header{Name: "Route", Value: route})
	}
	r.Headers = append(r.Headers,
		sip.Header{Name: "From", Value: n.From}, sip.Header{Name: "To", Value: n.To},
		sip.Header{Name: "Call-ID", Value: n.CallID}, sip.Header{Name: "CSeq", Value: strconv.FormatUint(uint64(n.CSeq), 10) + " NOTIFY"},
		sip.Header{Name: "Contact", Value: "<" + p.g.telephony.edge.ContactURI(n.Flow) + ">"},
		sip.Header{Name: "Event", Value: n.Event}, sip.Header{Name: "Subscription-State", Value: n.State},
		sip.Header{Name: "Content-Type", Value: n.Type})
	response, err := p.g.telephony.edge.Send(ctx, n.Flow, r)
	if err != nil {
		return 0, 0, err
	}
	return response.Status, retryAfter(response.Header("Retry-After")), nil
}

// retryAfter reads a Retry-After (RFC 3261 §20.33), without the words about it: a second at least, 0 where there is none.
func retryAfter(value string) time.Duration {
	if value == "" {
		return 0
	}
	if end := strings.IndexFunc(value, func(c rune) bool { return c < '0' || c > '9' }); end >= 0 {
		value = value[:end]
	}
	seconds, _ := wire.Number([]byte(value))
	return time.Duration(max(1, seconds)) * time.Second
}

// Probe sends an OPTIONS; any answer will do.
func (p phones) Probe(ctx context.Context, b registration.Binding) error {
	_, err := p.send(ctx, b, options(b))
	return err
}

func options(b registration.Binding) sip.Request {
	return sip.Request{Method: "OPTIONS", URI: b.Contact, Headers: []sip.Header{
		{Name: "From", Value: "<sip:" + b.AoR.Domain + ">;tag=" + sip.NewToken()},
		{Name: "To", Value: "<sip:" + b.AoR.String() + ">"},
		{Name: "Call-ID", Value: sip.NewToken()},
		{Name: "CSeq", Value: "1 OPTIONS"},
	}}
}

// reacher lets the API ask phones; nil where there are none.
func (g *Gateway) reacher() api.Reacher {
	if g.telephony.registrar == nil {
		return nil
	}
	return phones{g}
}

// Reach asks the phones of an AoR of the account.
func (p phones) Reach(ctx context.Context, id account.ID, aor telephony.AoR) ([]api.Reached, error) {
	a, err := p.g.access.Account(ctx, string(id))
	switch {
	case err != nil:
		return nil, err
	case a.Domain != aor.Domain:
		return nil, api.ErrNobody // another account's phones are nobody's here
	}
	found := p.g.Reach(ctx, aor)
	if owner, sure := contacts(p).owner(ctx, aor); len(found) == 0 && sure && owner != id {
		return nil, api.ErrNobody
	}
	return found, nil
}

// Reach asks every phone of an AoR for a sign of life, wherever its connection is.
func (g *Gateway) Reach(ctx context.Context, aor telephony.AoR) []api.Reached {
	bounded, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	targets := g.telephony.registrar.Lookup(bounded, aor)
	all := make([]api.Reached, len(targets))
	var asking sync.WaitGroup
	for i, t := range targets {
		asking.Go(func() { all[i] = phones{g}.ask(bounded, t) })
	}
	asking.Wait()
	return all
}

// reachTimeout is how long a person waits for a phone that does not answer.
const reachTimeout = 10 * time.Second

func (p phones) ask(ctx context.Context, t registration.Target) api.Reached {
	began := time.Now()
	response, b, err := p.deliver(ctx, t, options)
	r := api.Reached{Contact: registration.PublicContact(b.Contact), Node: b.Node, Millis: time.Since(began).Milliseconds()}
	if err != nil {
		r.Reason = silence(err)
		return r
	}
	r.Status, r.Reason = response.Status, telephony.WithoutPasswords(response.Reason)
	return r
}

// silence says for people why no phone answered.
func silence(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("nothing came back within %s: the phone is off, or its network or NAT has lost the way", reachTimeout)
	}
	return err.Error()
}

// Standing returns the binding of an AoR whose phone is reached over a flow.
func (g *Gateway) Standing(aor telephony.AoR, over telephony.Flow) (registration.Binding, bool) {
	return g.telephony.registrar.Standing(aor, over)
}

// Bindings returns the bindings of an AoR that have not ended, at whatever node.
func (g *Gateway) Bindings(aor telephony.AoR) []registration.Binding {
	return g.telephony.registrar.Bindings(aor)
}
