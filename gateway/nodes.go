package gateway

import (
	"context"
	"time"

	storeregistrar "demarc/store/registrar"
	"demarc/telephony/edge"
	"demarc/telephony/nodes"
	"demarc/telephony/registrar"
)

// announceEvery is how often a node says again where it is.
const announceEvery = 30 * time.Second

// startNodes opens the listener between nodes and tells the others of it.
func (g *Gateway) startNodes(ctx context.Context) error {
	t := g.cfg.Telephony
	if t.NodeListen == "" {
		return nil
	}
	key, err := g.certificates.authority.Key("flow tokens")
	if err != nil {
		return err
	}
	l, err := listen("telephony.internal_listen", t.NodeListen)
	if err != nil {
		return err
	}
	rows := storeregistrar.New(g.db, g.sealer)
	address := t.NodeAdvertise
	if address == "" {
		address = l.Addr().String()
	}
	if err := rows.Announce(ctx, t.Node, address, g.now()); err != nil {
		_ = l.Close()
		return err
	}
	g.telephony.nodes = nodes.New(nodes.Config{
		Node: t.Node, Listener: l, Identity: g.certificates.authority.Node(t.Node, g.now), Tokens: registrar.NewTokens(key), Flows: g.telephony.edge,
		Gone: edge.ErrFlowGone, Book: rows, Log: g.log,
	})
	g.run("node listener", g.telephony.nodes.Serve)
	g.every("node address", announceEvery, func(ctx context.Context) error {
		return rows.Announce(ctx, t.Node, address, g.now())
	})
	return nil
}
