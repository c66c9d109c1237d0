package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"demarc/store"
	storeregistrar "demarc/store/registrar"
)

// How a start waits for the name of its node while a connection of another process has it: for long enough that one which lives has
// said so twice.
const (
	nameWait  = 2*announceEvery + announceEvery/2
	nameRetry = 100 * time.Millisecond
)

// takeNodeName makes sure that no other process is this node: two of them would each end the other's calls and connections. The name
// of one that was stopped or killed is free at once. One whose machine is gone leaves its connection to the database behind for
// hours: that it says nothing any more is what counts then.
func (g *Gateway) takeNodeName(ctx context.Context) error {
	node := g.cfg.Telephony.Node
	name := store.NewName(g.db, "demarc node "+node)
	g.onStop("node name", func(context.Context) error {
		name.Release()
		return nil
	})
	if err := g.awaitNodeName(ctx, name); err != nil {
		return err
	}
	g.every("node name", announceEvery, func(ctx context.Context) error {
		err := name.Take(ctx)
		if errors.Is(err, store.ErrNameTaken) {
			err = fmt.Errorf("two processes are the node %s, and each ends the other's calls: give every one a telephony.node of its own: %w", node, err)
		}
		return err
	})
	return nil
}

func (g *Gateway) awaitNodeName(ctx context.Context, name *store.Name) error {
	node, signs := g.cfg.Telephony.Node, storeregistrar.New(g.db, g.sealer)
	first, err := signs.Sign(ctx, node)
	if err != nil {
		return err
	}
	if err := untilTaken(ctx, name, nameWait); !errors.Is(err, store.ErrNameTaken) {
		return err
	}
	last, err := signs.Sign(ctx, node)
	if err != nil {
		return err
	}
	if last != first {
		return fmt.Errorf("another process is the node %s already: stop it, or give this one a telephony.node of its own", node)
	}
	g.log.Warn("a connection of this node's last life still has its name, and nobody says anything by it: its machine was lost", "node", node)
	if err := name.Evict(ctx); err != nil {
		return err
	}
	return untilTaken(ctx, name, nameWait)
}

// untilTaken tries to take the name for a while.
func untilTaken(ctx context.Context, name *store.Name, patience time.Duration) error {
	for began := time.Now(); ; {
		err := name.Take(ctx)
		if !errors.Is(err, store.ErrNameTaken) || time.Since(began) > patience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(nameRetry):
		}
	}
}
