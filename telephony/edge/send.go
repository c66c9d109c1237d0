package edge

import (
	"context"
	"errors"
	"strings"

	"demarc/telephony"
	"demarc/telephony/edge/read"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// ErrFlowGone says that the connection a phone came over has ended: another of its flows may be there (RFC 5626 §7).
var ErrFlowGone = errors.New("edge: the flow is gone")

// maxSent is how many requests may wait for their response.
const maxSent = 1 << 16

// Send sends a request other than INVITE and ACK over a flow and waits for its final response: a client transaction on
// the connection that the phone opened itself, or to where its datagrams come from. The Request-URI is to be the
// Contact exactly as the phone registered it; nobody looks its host up.
func (e *Edge) Send(ctx context.Context, f telephony.Flow, r sip.Request) (*sip.Response, error) {
	to, err := e.find(f)
	if err != nil {
		to, err = e.toProxy(ctx, f, routeOf(r))
	}
	if err != nil {
		return nil, err
	}
	f = to.Flow
	aor := asked(r)
	branch := sip.NewBranch()
	raw := sip.AppendRequest(make([]byte, 0, 768), r, strings.ToUpper(string(f.Transport)), e.sentBy(f.Listener), branch)
	response, err := e.clients.Do(ctx, raw, branch, r.Method, sip.Way{
		Flow: to.key, Reliable: f.Transport.Stream(), Gone: to.gone, Err: func() error { return ErrFlowGone },
		Send: func(b []byte) error {
			e.tap(to, aor, false, b)
			to.writer.Send(b)
			return nil
		},
	})
	status := 0
	if err == nil {
		status = response.Status
	}
	e.count.sent.add(answered(f.Listener, r.Method, status), 1)
	return response, err
}

// routeOf returns the values of the first Route, or nothing.
func routeOf(r sip.Request) string {
	for _, h := range r.Headers {
		if h.Name == "Route" {
			return h.Value
		}
	}
	return ""
}

// asked says whose phone a request goes to.
func asked(r sip.Request) telephony.AoR {
	for _, h := range r.Headers {
		if h.Name == "To" {
			aor, _ := read.AoR(wire.ParseNameAddr([]byte(h.Value)))
			return aor
		}
	}
	return telephony.AoR{}
}

// find returns the open flow. A UDP remote needs no open connection: the listener and the addresses are all there is.
func (e *Edge) find(f telephony.Flow) (*flow, error) {
	if f.Transport.Stream() {
		if open, ok := e.live.Load(f.ID); ok {
			return open.(*flow), nil
		}
		return nil, ErrFlowGone
	}
	for _, s := range e.sockets {
		if s.cfg.Name == f.Listener && f.Remote.IsValid() {
			p := s.pair(f)
			if s.hasGone(p.local) {
				return nil, errAddressGone
			}
			return s.flow(p), nil
		}
	}
	return nil, ErrFlowGone
}

// sentBy is what stands in our Via. Phones answer to where the request came from, which they are asked to by rport.
func (e *Edge) sentBy(listener string) string {
	if e.Addr(listener).Addr().IsUnspecified() && e.Advertised(listener) == e.Addr(listener).String() {
		return unspecifiedSentBy
	}
	return e.Advertised(listener)
}

// unspecifiedSentBy stands for a listener on all addresses that advertises none.
const unspecifiedSentBy = "sip.invalid"
