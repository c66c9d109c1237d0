package gateway

import (
	"context"

	"demarc/internal/account"
	"demarc/store"
	storecalls "demarc/store/calls"
	"demarc/telephony"
)

// calls is what the API and the operator see of calls: the history of all nodes, and this node's hand on its own.
type calls struct {
	*storecalls.Store
	g *Gateway
}

func (g *Gateway) history() calls { return calls{storecalls.New(g.db, g.sealer), g} }

// Hangup ends a call of this node.
func (c calls) Hangup(ctx context.Context, id account.ID, call telephony.CallID) error {
	if err := c.here(ctx, id, call); err != nil {
		return err
	}
	return c.g.telephony.exchange.Hangup(id, call, telephony.Cause{
		Who: telephony.Person, Code: 200, Text: "An operator or admin hung up.",
	})
}

// Transfer transfers in a call of this node. How it goes on is seen in the call.
func (c calls) Transfer(ctx context.Context, id account.ID, call telephony.CallID, leg int, to telephony.AoR) error {
	if err := c.here(ctx, id, call); err != nil {
		return err
	}
	return c.g.telephony.exchange.Transfer(id, call, leg, to)
}

// Conference makes one call of two of this node. How it goes on is seen in the other call.
func (c calls) Conference(ctx context.Context, id account.ID, call telephony.CallID, leg int, with telephony.CallID) error {
	for _, one := range []telephony.CallID{call, with} {
		if err := c.here(ctx, id, one); err != nil {
			return err
		}
	}
	return c.g.telephony.exchange.Conference(id, call, leg, with)
}

// here fails for a call that has ended, or that another node has.
func (c calls) here(ctx context.Context, id account.ID, call telephony.CallID) error {
	found, err := c.Call(ctx, id, call)
	switch {
	case err != nil:
		return err
	case found.State == telephony.CallEnded:
		return telephony.ErrCallEnded
	case found.Node != c.g.cfg.Telephony.Node || c.g.telephony.exchange == nil:
		return telephony.ErrCallAway
	}
	return nil
}

// pruneCalls forgets calls that ended longer ago than history is kept.
func (g *Gateway) pruneCalls(ctx context.Context) error {
	return g.history().Prune(ctx, store.Millis(g.now().Add(-g.cfg.Telephony.Calls.History)))
}
