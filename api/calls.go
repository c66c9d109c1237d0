package api

import (
	"context"
	"time"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/telephony"
)

// Calls knows an account's calls, those that last included, ends them, and transfers and joins them for phones that cannot.
type Calls interface {
	Calls(ctx context.Context, id account.ID, f telephony.CallFilter) (page []telephony.CallRecord, next string, err error)
	Call(ctx context.Context, id account.ID, call telephony.CallID) (telephony.CallRecord, error)
	Hangup(ctx context.Context, id account.ID, call telephony.CallID) error
	// Transfer connects whoever talks with a leg with somebody else, and ends the leg when that was answered.
	Transfer(ctx context.Context, id account.ID, call telephony.CallID, leg int, to telephony.AoR) error
	// Conference has whoever talks with a leg join another call of the leg's user, and ends the leg.
	Conference(ctx context.Context, id account.ID, call telephony.CallID, leg int, with telephony.CallID) error
}

type callsInput struct {
	User  string    `query:"user" maxLength:"300" doc:"Only calls of this user: extension or user@domain"`
	Live  bool      `query:"live" doc:"Only calls that have not ended"`
	Since time.Time `query:"since" doc:"Only calls that began at that time or later"`
	After string    `query:"after" maxLength:"200" doc:"next of the page before"`
	Limit int       `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

type callsOutput struct {
	Body struct {
		Calls []callBody `json:"calls" nullable:"false" doc:"The one that began last first"`
		Next  string     `json:"next,omitempty" doc:"Send it as after for the next page; absent on the last"`
	}
}

type callInput struct {
	CallID string `path:"callId" maxLength:"200"`
}

type transferInput struct {
	CallID string `path:"callId" maxLength:"200"`
	Body   struct {
		Leg int    `json:"leg" minimum:"1" maximum:"255" doc:"The leg of who transfers: whoever talks with it is transferred"`
		To  string `json:"to" minLength:"1" maxLength:"300" doc:"Extension or user@domain"`
	}
}

type conferenceInput struct {
	CallID string `path:"callId" maxLength:"200"`
	Body   struct {
		Leg  int    `json:"leg" minimum:"1" maximum:"255" doc:"The leg of who is in both calls: whoever talks with it joins the other call"`
		With string `json:"with" minLength:"1" maxLength:"200" doc:"Id of the other call, which becomes the conference"`
	}
}

type callOutput struct{ Body callBody }

type callBody struct {
	ID         string    `json:"id"`
	State      string    `json:"state" enum:"ringing,talking,ended"`
	Caller     string    `json:"caller" doc:"user@domain"`
	CallerName string    `json:"callerName,omitempty"`
	Dialled    string    `json:"dialled"`
	StartedAt  time.Time `json:"startedAt"`
	AnsweredAt time.Time `json:"answeredAt,omitzero" doc:"Absent: it was not answered"`
	EndedAt    time.Time `json:"endedAt,omitzero" doc:"Absent: it lasts"`
	Cause      causeBody `json:"cause,omitzero" doc:"Why it ended"`
	Node       string    `json:"node" doc:"That has, or had, the call"`
	Legs       []legBody `json:"legs" nullable:"false"`
}

type causeBody struct {
	Who  string `json:"who" enum:"caller,callee,network,switch,person"`
	Code int    `json:"code" doc:"SIP status code"`
	Text string `json:"text,omitempty"`
}

type legBody struct {
	Leg        int       `json:"leg" doc:"From 1, the caller's"`
	User       string    `json:"user,omitempty" doc:"user@domain; absent for a trunk"`
	Phone      string    `json:"phone,omitempty" doc:"What the phone calls itself"`
	Remote     string    `json:"remote,omitempty" doc:"Where the phone is seen"`
	SIPCallID  string    `json:"sipCallId,omitempty" doc:"Its Call-ID, to find it in a trace"`
	StartedAt  time.Time `json:"startedAt"`
	AnsweredAt time.Time `json:"answeredAt,omitzero"`
	EndedAt    time.Time `json:"endedAt,omitzero"`
	Cause      causeBody `json:"cause,omitzero"`
	Media      mediaBody `json:"media,omitzero" doc:"How it was, once the leg has ended"`
}

type mediaBody struct {
	Codec             string  `json:"codec,omitempty"`
	Security          string  `json:"security,omitempty" enum:"none,sdes,dtls"`
	Suite             string  `json:"suite,omitempty"`
	Sent              uint64  `json:"sent" doc:"Packets to the phone"`
	Received          uint64  `json:"received" doc:"Packets from the phone"`
	Lost              uint64  `json:"lost" doc:"Of those the phone sent"`
	LostThere         uint64  `json:"lostThere" doc:"Of those we sent, as the phone reports"`
	JitterMillis      float64 `json:"jitterMillis" doc:"Of what the phone sent"`
	JitterThereMillis float64 `json:"jitterThereMillis" doc:"Of what we sent, as the phone reports"`
	RoundTripMillis   float64 `json:"roundTripMillis,omitempty"`
	Refused           uint64  `json:"refused" doc:"Packets that were not authentic, or not from where they should be"`
}

func (s *server) callRoutes() {
	handle(s, route("GET", "/v1/calls", "list-calls", "List calls, live and past", "Calls", 200, "session"), s.calls)
	handle(s, route("GET", "/v1/calls/{callId}", "call", "Show one call with its legs", "Calls", 200, "session"), s.call)
	handle(s, route("DELETE", "/v1/calls/{callId}", "hang-up", "Hang up a call that lasts", "Calls", 204, "session"), s.hangUp)
	handle(s, route("POST", "/v1/calls/{callId}/transfer", "transfer", "Transfer a call for a phone that cannot", "Calls", 202, "session"),
		s.transfer)
	handle(s, route("POST", "/v1/calls/{callId}/conference", "conference", "Make one call of two for a phone that cannot", "Calls", 202,
		"session"), s.conference)
}

func (s *server) calls(ctx context.Context, in *callsInput) (*callsOutput, error) {
	p, _, err := s.may(ctx, access.ReadCalls)
	if err != nil {
		return nil, err
	}
	f := telephony.CallFilter{Live: in.Live, Since: in.Since, After: in.After, Limit: in.Limit}
	if in.User != "" {
		if f.Party, err = s.party(ctx, p.Account, in.User); err != nil {
			return nil, err
		}
	}
	page, next, err := s.Calls.Calls(ctx, p.Account, f)
	if err != nil {
		return nil, err
	}
	out := &callsOutput{}
	out.Body.Calls, out.Body.Next = []callBody{}, next
	for _, c := range page {
		out.Body.Calls = append(out.Body.Calls, describeCall(c))
	}
	return out, nil
}

// party reads an extension of the account, or a whole AoR.
func (s *server) party(ctx context.Context, id account.ID, user string) (telephony.AoR, error) {
	if aor, err := telephony.ParseAoR(user); err == nil {
		return aor, nil
	}
	a, err := s.Access.Account(ctx, string(id))
	if err != nil {
		return telephony.AoR{}, err
	}
	return telephony.NewAoR(user, a.Domain), nil
}

func (s *server) call(ctx context.Context, in *callInput) (*callOutput, error) {
	p, _, err := s.may(ctx, access.ReadCalls)
	if err != nil {
		return nil, err
	}
	id, err := callID(in.CallID)
	if err != nil {
		return nil, err
	}
	c, err := s.Calls.Call(ctx, p.Account, id)
	if err != nil {
		return nil, err
	}
	return &callOutput{Body: describeCall(c)}, nil
}

func (s *server) hangUp(ctx context.Context, in *callInput) (*struct{}, error) {
	p, _, err := s.may(ctx, access.HangUp)
	if err != nil {
		return nil, err
	}
	id, err := callID(in.CallID)
	if err != nil {
		return nil, err
	}
	return nil, s.Calls.Hangup(ctx, p.Account, id)
}

func (s *server) transfer(ctx context.Context, in *transferInput) (*struct{}, error) {
	p, _, err := s.may(ctx, access.TransferCall)
	if err != nil {
		return nil, err
	}
	id, err := callID(in.CallID)
	if err != nil {
		return nil, err
	}
	to, err := s.party(ctx, p.Account, in.Body.To)
	if err != nil {
		return nil, err
	}
	return nil, s.Calls.Transfer(ctx, p.Account, id, in.Body.Leg, to)
}

func (s *server) conference(ctx context.Context, in *conferenceInput) (*struct{}, error) {
	p, _, err := s.may(ctx, access.TransferCall)
	if err != nil {
		return nil, err
	}
	id, err := callID(in.CallID)
	if err != nil {
		return nil, err
	}
	with, err := callID(in.Body.With)
	if err != nil {
		return nil, err
	}
	return nil, s.Calls.Conference(ctx, p.Account, id, in.Body.Leg, with)
}

// callID is for what may be asked for in a database that does not take every text.
func callID(s string) (telephony.CallID, error) {
	if !isID(s) {
		return "", telephony.ErrNoCall
	}
	return telephony.CallID(s), nil
}

func describeCall(c telephony.CallRecord) callBody {
	b := callBody{
		ID: string(c.ID), State: string(c.State), Caller: userOf(c.Caller), CallerName: c.CallerName, Dialled: c.Dialled,
		StartedAt: c.StartedAt, AnsweredAt: c.AnsweredAt, EndedAt: c.EndedAt, Cause: describeCause(c.Cause), Node: c.Node,
		Legs: []legBody{},
	}
	for _, l := range c.Legs {
		b.Legs = append(b.Legs, legBody{
			Leg: l.Leg, User: userOf(l.AoR), Phone: l.Phone, Remote: l.Remote, SIPCallID: l.SIPCallID, StartedAt: l.StartedAt,
			AnsweredAt: l.AnsweredAt, EndedAt: l.EndedAt, Cause: describeCause(l.Cause), Media: describeMedia(l.Media),
		})
	}
	return b
}

func userOf(a telephony.AoR) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

func describeCause(c telephony.Cause) causeBody {
	return causeBody{Who: string(c.Who), Code: c.Code, Text: c.Text}
}

func describeMedia(m telephony.MediaReport) mediaBody {
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return mediaBody{
		Codec: m.Codec, Security: m.Security, Suite: m.Suite, Sent: m.Sent, Received: m.Received, Lost: m.Lost,
		LostThere: m.LostThere, JitterMillis: millis(m.Jitter), JitterThereMillis: millis(m.JitterThere),
		RoundTripMillis: millis(m.RoundTrip), Refused: m.Refused,
	}
}
