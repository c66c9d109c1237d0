package edge_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/trace"
)

// prompt answers what it can at once, as the registrar does.
type prompt struct {
	fake
	now func(*registration.Reply) bool // nil, or false: later
}

func (p *prompt) RegisterAtOnce(ctx context.Context, req *registration.Request, reply *registration.Reply) func(func(registration.Reply)) {
	if p.now != nil && p.now(reply) {
		return nil
	}
	own := req.Own()
	return func(later func(registration.Reply)) { p.Register(ctx, own, later) }
}

// says returns what answers with a reply at once.
func says(r registration.Reply) func(*registration.Reply) bool {
	return func(reply *registration.Reply) bool { *reply = r; return true }
}

// A REGISTER is in the trace once, before what answered it, whichever way that went, and neither holds a secret.
func TestRegisterIsSeenOnceBeforeItsAnswer(t *testing.T) {
	const canary = "CANARY"
	here := registration.ReplyBinding{URI: "sip:1001@192.0.2.1", Q: 1000}
	other := registration.ReplyBinding{URI: "sip:1001@192.0.2.2;pn-provider=fcm;PN-PRID=" + canary, Q: 1000}
	signed := `Authorization: Digest username="1001", realm="example.com", nonce="n", response="` + canary + `"`
	for _, c := range []struct {
		name   string
		now    func(*registration.Reply) bool
		decide func(*registration.Request, func(registration.Reply))
		limits edge.Limits
		lines  []string
		over   string
		want   string
	}{
		{name: "at once", now: says(registration.Reply{Status: 200, Bindings: []registration.ReplyBinding{here}}), want: "REGISTER 200"},
		{name: "signed", now: says(registration.Reply{Status: 200, Sender: registration.Proven}), lines: []string{signed}, want: "REGISTER 200"},
		{name: "two answers to challenges", now: says(registration.Reply{Status: 401}), lines: []string{signed, signed}, want: "REGISTER 401"},
		{name: "later", want: "REGISTER 200"},
		{name: "another phone's token", now: says(registration.Reply{Status: 200, Bindings: []registration.ReplyBinding{here, other}}), want: "REGISTER 200"},
		{name: "a token of its own", now: says(registration.Reply{Status: 200, Bindings: []registration.ReplyBinding{other}}),
			lines: []string{"Contact: <" + other.URI + ">", signed}, want: "REGISTER 200"},
		{name: "silence", now: says(registration.Reply{Drop: true}), want: "REGISTER"},
		{name: "a fault at once", now: func(*registration.Reply) bool { panic("x") }, want: "REGISTER 500"},
		{name: "a fault later", decide: func(*registration.Request, func(registration.Reply)) { panic("x") }, want: "REGISTER 500"},
		{name: "what it requires is not known", lines: []string{"Require: x"}, want: "REGISTER 420"},
		{name: "a bad Contact", lines: []string{"Contact: <>"}, want: "REGISTER 400"},
		{name: "too many", limits: edge.Limits{Admission: 1}, now: says(registration.Reply{Status: 401}), want: "REGISTER 401 REGISTER 503"},
		{name: "too large an answer", now: says(registration.Reply{Status: 401, Challenges: []string{strings.Repeat("x", 4000)}}), over: "udp", want: "REGISTER"},
	} {
		t.Run(c.name, func(t *testing.T) {
			traced := trace.NewRecorder(1 << 20)
			h := &prompt{now: c.now}
			h.decide = c.decide
			r := startConfigured(t, h, edge.Config{Trace: traced, Limits: c.limits, Listeners: everyKind()})
			over := c.over
			if over == "" {
				over = "tcp"
			}
			nc := r.dial(over)
			for range strings.Count(c.want, "REGISTER") {
				_, _ = io.WriteString(nc, message("REGISTER", over, "1001", c.lines...))
			}
			want, got := strings.Fields(c.want), []string(nil)
			defer func() {
				if t.Failed() {
					t.Logf("seen: %v", got)
				}
			}()
			eventually(t, c.want, func() bool {
				got = nil
				for _, e := range traced.Of(telephony.NewAoR("1001", "example.com"), 0) {
					got = append(got, firstWord(e))
					if text := string(e.Text); strings.Contains(text, canary) {
						t.Fatal(text)
					}
				}
				return slices.Equal(got, want)
			})
			r.stop() // what would be too much has come then
			if n := len(traced.Of(telephony.NewAoR("1001", "example.com"), 0)); n != len(want) {
				t.Errorf("%d messages", n)
			}
		})
	}
}

// firstWord returns a request's method, or an answer's status; the other way round what has the wrong direction.
func firstWord(e trace.Entry) string {
	text := string(e.Text)
	if answer := strings.HasPrefix(text, "SIP/2.0 "); answer != e.Inbound {
		if answer {
			return status(text)
		}
		return text[:strings.IndexByte(text, ' ')]
	}
	return "wrong way: " + text
}
