package api

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/telephony/trace"
)

// Tracer knows the last SIP messages of an account's phones.
type Tracer interface {
	Trace(ctx context.Context, id account.ID, of string, after uint64) ([]trace.Entry, error)
}

type traceInput struct {
	Of    string `query:"of" required:"true" minLength:"1" maxLength:"300" doc:"Extension, user@domain, or a Call-ID"`
	After uint64 `query:"after" doc:"Only messages after the one of this seq"`
}

type traceOutput struct {
	Body struct {
		Messages []messageBody `json:"messages" nullable:"false" doc:"Oldest first; of this node alone"`
	}
}

type messageBody struct {
	Seq       uint64    `json:"seq"`
	At        time.Time `json:"at"`
	AoR       string    `json:"aor" doc:"Whose phone it is"`
	CallID    string    `json:"callId"`
	Inbound   bool      `json:"inbound" doc:"From the phone"`
	Transport string    `json:"transport"`
	Local     string    `json:"local,omitempty"`
	Remote    string    `json:"remote,omitempty" doc:"Where the phone is seen"`
	Text      string    `json:"text" doc:"The message without secrets"`
}

func (s *server) traceRoutes() {
	op := route("GET", "/v1/trace", "trace", "Show the last SIP messages of a phone or call", "Trace", 200, "session")
	handle(s, op, s.messages)
}

func (s *server) messages(ctx context.Context, in *traceInput) (*traceOutput, error) {
	p, _, err := s.may(ctx, access.ReadTrace)
	if err != nil {
		return nil, err
	}
	if s.Trace == nil {
		return nil, newProblem(http.StatusConflict, "no_trace", "This node remembers no SIP messages: ask a node with the "+
			"role telephony, and set telephony.trace_memory there.")
	}
	found, err := s.Trace.Trace(ctx, p.Account, in.Of, in.After)
	if err != nil {
		return nil, err
	}
	out := &traceOutput{}
	out.Body.Messages = []messageBody{}
	for _, e := range found {
		out.Body.Messages = append(out.Body.Messages, messageBody{
			Seq: e.Seq, At: e.At, AoR: e.AoR.String(), CallID: e.CallID, Inbound: e.Inbound, Transport: string(e.Transport),
			Local: address(e.Local), Remote: address(e.Remote), Text: string(e.Text),
		})
	}
	return out, nil
}

func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
