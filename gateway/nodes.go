package gateway

import (
	"context"
	"errors"
	"net"
	"sync/atomic"

	"demarc/internal/config"
	"demarc/store"
	storeregistrar "demarc/store/registrar"
	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/nodes"
	"demarc/telephony/registrar"
	"demarc/telephony/sip"
)

// announceEvery is how often a node says again where it is, and that it is there.
const announceEvery = registrar.LeaseBeat

// joinNodes is startNodes where telephony, whose calls end before the way to the others does, has not done that already.
func (g *Gateway) joinNodes(ctx context.Context) error {
	if g.cfg.Has(config.RoleTelephony) {
		return nil
	}
	return g.startNodes(ctx)
}

// startNodes opens the listener between nodes and tells the others of it. A node without one still asks those that have
// one, and is known to be there. On SQLite there is one node.
func (g *Gateway) startNodes(ctx context.Context) error {
	t := g.cfg.Telephony
	if g.db.Dialect() != store.PostgreSQL {
		return nil
	}
	key, err := g.certificates.authority.Key("flow tokens")
	if err != nil {
		return err
	}
	rows := storeregistrar.New(g.db, g.sealer)
	c := nodes.Config{
		Node: t.Node, Identity: g.certificates.authority.Node(t.Node, g.now), Tokens: nodes.NewTokens(key),
		Gone: edge.ErrFlowGone, Book: rows, Answer: g.answer, Log: g.log,
	}
	address := ""
	if g.cfg.Has(config.RoleTelephony) {
		c.Flows, c.Calls = g.telephony.edge, g.telephony.edge.Signalling()
		if c.Listener, address, err = g.openNodeListener(); err != nil {
			return err
		}
		if err := rows.Announce(ctx, t.Node, address, g.now()); err != nil {
			if c.Listener != nil {
				_ = c.Listener.Close()
			}
			return err
		}
		g.onStop("node address", func(ctx context.Context) error { return rows.Withdraw(ctx, t.Node) })
		g.every("node address", announceEvery, func(ctx context.Context) error {
			return rows.Announce(ctx, t.Node, address, g.now())
		})
	}
	g.nodes = nodes.New(c)
	g.telephony.between.nodes.Store(g.nodes)
	g.run("node listener", g.nodes.Serve)
	return nil
}

// openNodeListener opens the listener between nodes, if there is to be one, and returns where the others reach it.
func (g *Gateway) openNodeListener() (net.Listener, string, error) {
	t := g.cfg.Telephony
	if t.NodeListen == "" {
		return nil, "", nil
	}
	l, err := listen("telephony.internal_listen", t.NodeListen)
	if err != nil {
		return nil, "", err
	}
	if t.NodeAdvertise != "" {
		return l, t.NodeAdvertise, nil
	}
	return l, l.Addr().String(), nil
}

// between is how calls reach other nodes, once this one has a place among them.
type between struct{ nodes atomic.Pointer[nodes.Nodes] }

var errAlone = errors.New("this node knows no other one")

// Dial implements edge.Nodes.
func (b *between) Dial(node string, l sip.Link) error {
	if n := b.nodes.Load(); n != nil {
		return n.Dial(node, l)
	}
	return errAlone
}

// Route implements edge.Nodes.
func (b *between) Route(node string, f telephony.Flow, asks bool) string {
	if n := b.nodes.Load(); n != nil {
		return n.Route(node, f, asks)
	}
	return ""
}
