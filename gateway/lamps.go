package gateway

import (
	"context"
	"encoding/json"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/events"
	"demarc/telephony/lamps"
)

// lampsSubject is what nodes ask each other to know who is in a call there.
const lampsSubject = "dialogs"

// newFollower returns who knows the dialogs of the extensions that are watched here at the other nodes.
func (g *Gateway) newFollower() *lamps.Follower {
	return lamps.NewFollower(lamps.Config{
		Node: g.cfg.Telephony.Node, Nodes: g.telephony.registrar.Others, Log: g.log,
		Ask: func(ctx context.Context, node string, question []byte) ([]byte, error) {
			return g.nodes.Ask(ctx, node, lampsSubject, question) // whose life began before the follower's
		},
		Changed: func(aor telephony.AoR) { g.telephony.events.Changed("dialog", aor) },
	})
}

// dialogsChanged lets those know who watch a user, here and at other nodes.
func (g *Gateway) dialogsChanged(aor telephony.AoR) {
	g.telephony.events.Changed("dialog", aor)
	g.telephony.teller.Changed(aor)
}

// tellDialogs answers what another node asks about dialogs.
func (g *Gateway) tellDialogs(ctx context.Context, question []byte) ([]byte, error) {
	var q lamps.Question
	if err := json.Unmarshal(question, &q); err != nil {
		return nil, err
	}
	answer, err := g.telephony.teller.Answer(ctx, q)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// dialogs tells watchers who is in a call, at whatever node.
type dialogs struct{ g *Gateway }

// Dialogs returns the dialogs of a user.
func (d dialogs) Dialogs(ctx context.Context, id account.ID, aor telephony.AoR) ([]events.Dialog, error) {
	all, err := d.g.telephony.exchange.Dialogs(ctx, id, aor)
	if f := d.g.telephony.follower; f != nil && err == nil {
		all = append(all, f.Dialogs(aor)...)
	}
	return all, err
}
