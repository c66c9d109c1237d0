package api

import (
	"context"
	"errors"
	"net/http"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/telephony"
)

// Reacher asks phones for a sign of life.
type Reacher interface {
	// Reach asks every phone of the AoR, when its domain is the account's. It is ErrNobody for who has no phone and is in no directory of the
	// account's.
	Reach(ctx context.Context, id account.ID, aor telephony.AoR) ([]Reached, error)
}

// ErrNobody tells that nobody has an address.
var ErrNobody = errors.New("nobody in the registrar's directory has this address: is it spelt as at the PBX, and has the users file been " +
	"loaded since it was written there?")

// Reached is what came of asking one phone.
type Reached struct {
	Contact string // without secrets
	Node    string // whose connection the phone has
	Status  int    // of its answer, 0 when none came
	Reason  string // phrase of the answer, or why none came
	Millis  int64  // until the answer
}

type reachInput struct {
	Of string `query:"of" required:"true" minLength:"1" maxLength:"300" doc:"Extension or user@domain"`
}

type reachOutput struct {
	Body struct {
		Phones []reachedBody `json:"phones" nullable:"false" doc:"Empty: the user has no phone that is connected"`
	}
}

type reachedBody struct {
	Contact string `json:"contact,omitempty" doc:"As the phone registered it, without secrets"`
	Node    string `json:"node,omitempty" doc:"Whose connection the phone has"`
	Status  int    `json:"status" doc:"Of its answer, whatever that says; 0: none came"`
	Reason  string `json:"reason,omitempty" doc:"Phrase of the answer, or why none came"`
	Millis  int64  `json:"millis" doc:"Until the answer came"`
}

func (s *server) reachRoutes() {
	op := route("POST", "/v1/reach", "reach", "Ask a user's phones for a sign of life", "Users", 200, "session")
	handle(s, op, s.reach)
}

func (s *server) reach(ctx context.Context, in *reachInput) (*reachOutput, error) {
	p, _, err := s.may(ctx, access.ReadTrace)
	if err != nil {
		return nil, err
	}
	if s.Reach == nil {
		return nil, newProblem(http.StatusConflict, "no_telephony", "This node has no phones: ask a node with the role telephony.")
	}
	aor, err := s.party(ctx, p.Account, in.Of)
	if err != nil {
		return nil, err
	}
	found, err := s.Reach.Reach(ctx, p.Account, aor)
	if err != nil {
		return nil, err
	}
	out := &reachOutput{}
	out.Body.Phones = []reachedBody{}
	for _, r := range found {
		out.Body.Phones = append(out.Body.Phones, reachedBody(r))
	}
	return out, nil
}
