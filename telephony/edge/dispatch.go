package edge

import (
	"context"
	"errors"
	"strings"

	"demarc/telephony"
	"demarc/telephony/wire"
)

// allow lists the methods that are always served.
const allow = "REGISTER, OPTIONS"

// callOptions are the option tags of calls (RFC 3262, RFC 3891, RFC 4028, RFC 3911, RFC 4488).
var callOptions = [...]string{"100rel", "replaces", "timer", "join", "norefersub"}

// supported reports whether a request may require the option tag (RFC 3327, RFC 5626, and those of calls).
func (e *Edge) supported(tag []byte) bool {
	if e.signalling.served() {
		for _, known := range callOptions {
			if wire.EqualFold(tag, known) {
				return true
			}
		}
	}
	return wire.EqualFold(tag, "path") || wire.EqualFold(tag, "outbound")
}

// refuse answers a message that the scan refused, where an answer is safe: it is a request and has all that an answer
// copies. Everything else is met with silence.
func (e *Edge) refuse(f *flow, m *wire.Message, err error) {
	var fault wire.Error
	if !errors.As(err, &fault) {
		fault = wire.Error{Fault: wire.Malformed}
	}
	e.count.rejects.add(Reject{f.Listener, fault.Fault.String()}, 1)
	if !f.known.Load() {
		e.standing.Asked(f.Remote.Addr())
	}
	if m.Answerable() {
		e.tapped(f, m, f.heard)
		e.answer(f, m, fault.Fault.Status(), fault.Reason())
	}
}

// dispatch handles one message. A panic ends that message alone. A REGISTER may be shown to the tracer together with its answer.
func (e *Edge) dispatch(ctx context.Context, f *flow, m *wire.Message) {
	f.unseen = m
	defer func() {
		r := recover()
		e.seen(f)
		if r != nil {
			e.panicked("dispatch", r)
			if m.Answerable() {
				e.answer(f, m, 500, "")
			}
		}
	}()
	if !m.Is("REGISTER") {
		e.seen(f)
	}
	if !m.IsRequest() {
		e.passing("response")
		if !e.signalling.response(f, m) && !e.clients.Receive(m, f.key) {
			e.count.rejects.add(Reject{f.Listener, "response"}, 1) // nothing was asked, or it is late
		}
		return
	}
	if !f.known.Load() {
		e.standing.Asked(f.Remote.Addr())
	}
	if m.Is("ACK") {
		e.ack(f, m)
		return
	}
	if status, reason, headers := e.examine(m); status != 0 {
		e.seen(f)
		e.answer(f, m, status, reason, headers...)
		return
	}
	e.serve(ctx, f, m)
}

// examine holds the parts of a request that no method may get wrong against RFC 3261 §8.2.2.
func (e *Edge) examine(m *wire.Message) (status int, reason string, headers []header) {
	uri, ok := m.URI()
	if !ok || len(uri.Headers) > 0 {
		scheme := wire.Scheme(m.RequestURI)
		if len(scheme) > 0 && !wire.EqualFold(scheme, "sip") && !wire.EqualFold(scheme, "sips") {
			return 416, "", nil
		}
		return 400, "Bad Request-URI", nil
	}
	if _, _, ok := m.TopVia(); !ok {
		return 400, "Bad Via", nil // it is copied as it is; the answer goes to where the request came from
	}
	if _, ok := m.FromAddr(); !ok {
		return 400, "Bad From", nil
	}
	if _, ok := m.ToAddr(); !ok {
		return 400, "Bad To", nil
	}
	if m.Is("CANCEL") {
		return 0, "", nil
	}
	if unknown := e.unsupported(m); unknown != "" {
		return 420, "", []header{{"Unsupported", unknown}}
	}
	return 0, "", nil
}

// unsupported lists the required option tags that are not known here, for Proxy-Require too: we are what proxies there
// will be (RFC 3261 §8.2.2.3, §16.3).
func (e *Edge) unsupported(m *wire.Message) string {
	var unknown []string
	for _, lines := range [...][][]byte{m.Require, m.ProxyRequire} {
		for _, line := range lines {
			for tag, rest, ok := wire.NextValue(line); ok; tag, rest, ok = wire.NextValue(rest) {
				if !e.supported(tag) {
					unknown = append(unknown, string(tag))
				}
			}
		}
	}
	return strings.Join(unknown, ", ")
}

// serve answers by method; what is not allowed here is refused, whoever asks, and leaves no state.
func (e *Edge) serve(ctx context.Context, f *flow, m *wire.Message) {
	switch method(m) {
	case "REGISTER":
		e.register(ctx, f, m)
	case "OPTIONS":
		if hasToTag(m) && e.signalling.served() { // it asks whether the dialog stands (RFC 3261 §12.2.2)
			e.call(ctx, f, m)
			return
		}
		e.answer(f, m, 200, "", header{"Allow", e.allow}, header{"Accept", "application/sdp"},
			header{"Accept-Encoding", "identity"}, header{"Accept-Language", "en"}, header{"Supported", e.options()})
	case "SUBSCRIBE":
		e.subscribe(ctx, f, m)
	case "other":
		e.answer(f, m, 501, "", header{"Allow", e.allow})
	case "CANCEL", "PRACK", "INVITE", "BYE", "UPDATE", "INFO", "REFER", "NOTIFY":
		e.call(ctx, f, m)
	default:
		e.answer(f, m, 405, "", header{"Allow", e.allow})
	}
}

// call serves what belongs to calls, once there is who takes them.
func (e *Edge) call(ctx context.Context, f *flow, m *wire.Message) {
	switch name := method(m); {
	case !e.signalling.served() && name == "CANCEL":
		e.answer(f, m, 481, "")
	case !e.signalling.served():
		e.answer(f, m, 405, "", header{"Allow", e.allow})
	case name == "CANCEL":
		e.cancel(f, m)
	case name == "PRACK":
		e.prack(f, m)
	default:
		e.request(ctx, f, m, name)
	}
}

// options lists the option tags that are known here.
func (e *Edge) options() string {
	if e.signalling.served() {
		return "path, outbound, " + strings.Join(callOptions[:], ", ")
	}
	return "path, outbound"
}

// method returns the method's name for dispatch and counters, "other" for what is not known.
func method(m *wire.Message) string { return methodNamed(m.Method) }

func methodNamed(method []byte) string {
	for _, name := range [...]string{"REGISTER", "OPTIONS", "INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO",
		"SUBSCRIBE", "NOTIFY", "MESSAGE", "REFER", "PUBLISH"} {
		if string(method) == name {
			return name
		}
	}
	return "other"
}

func (e *Edge) reject(l Listener, reason string) { e.count.rejects.add(Reject{l.Name, reason}, 1) }

// flowClosed tells the handler, whatever it does.
func (e *Edge) flowClosed(f telephony.Flow) {
	defer func() {
		if r := recover(); r != nil {
			e.panicked("FlowClosed", r)
		}
	}()
	e.handler.FlowClosed(f)
}
