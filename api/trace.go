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
	Trace(ctx context.Context, id account.ID, of string, after trace.Cursor) (Traced, error)
}

// Traced is what the nodes remember.
type Traced struct {
	Messages []TracedMessage // oldest first, by the nodes' clocks
	Next     trace.Cursor    // where to read on
	Unasked  []Unasked
}

// TracedMessage is one message and the node that remembers it.
type TracedMessage struct {
	Node string
	trace.Entry
}

// Unasked is a node that could not be asked, and why.
type Unasked struct{ Node, Reason string }

type traceInput struct {
	Of    string `query:"of" required:"true" minLength:"1" maxLength:"300" doc:"Extension, user@domain, or a Call-ID"`
	After string `query:"after" maxLength:"8192" doc:"Only later messages: next of an earlier reply"`
}

type traceOutput struct {
	Body struct {
		Messages []messageBody `json:"messages" nullable:"false" doc:"Of all nodes, oldest first by their clocks"`
		Next     string        `json:"next" doc:"For after, to read on from here"`
		Unasked  []unaskedBody `json:"unasked,omitempty" doc:"Nodes that could not be asked: their messages are missing"`
	}
}

type unaskedBody struct {
	Node   string `json:"node"`
	Reason string `json:"reason"`
}

type messageBody struct {
	Node      string    `json:"node" doc:"The node that the phone talked to"`
	Seq       uint64    `json:"seq" doc:"Grows with every message of the node"`
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
	after, err := trace.ParseCursor(in.After)
	if err != nil {
		return nil, newProblem(http.StatusUnprocessableEntity, "bad_cursor", "after is not what an earlier reply gave as next: "+
			"leave it out to begin anew.")
	}
	found, err := s.Trace.Trace(ctx, p.Account, in.Of, after)
	if err != nil {
		return nil, err
	}
	out := &traceOutput{}
	out.Body.Messages, out.Body.Next = []messageBody{}, found.Next.String()
	for _, n := range found.Unasked {
		out.Body.Unasked = append(out.Body.Unasked, unaskedBody(n))
	}
	for _, e := range found.Messages {
		out.Body.Messages = append(out.Body.Messages, messageBody{
			Node: e.Node, Seq: e.Seq, At: e.At, AoR: e.AoR.String(), CallID: e.CallID, Inbound: e.Inbound, Transport: string(e.Transport),
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
