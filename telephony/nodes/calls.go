package nodes

import (
	"context"
	"net"
	"net/netip"

	"demarc/telephony"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// Calls takes the connections of other nodes, for the messages of calls on them.
type Calls interface {
	Accept(remote netip.AddrPort) sip.Link
}

// callMethods go to Calls; everything else is forwarded here.
var callMethods = [...]string{"INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY"}

func isCall(m *wire.Message) bool {
	for _, method := range callMethods {
		if m.Is(method) {
			return true
		}
	}
	return false
}

// Dial connects to a node for calls, without waiting, and tells the link what comes of it. The error says that there is no
// use in trying: the link is told nothing.
func (n *Nodes) Dial(node string, l sip.Link) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life.Err() != nil {
		return sip.ErrClosed
	}
	n.work.Go(func() { n.carry(node, l) })
	return nil
}

// carry is one connection's life as a link.
func (n *Nodes) carry(node string, l sip.Link) {
	defer l.Gone()
	ctx, cancel := context.WithTimeout(n.life, dialTimeout)
	defer cancel()
	to, conn, err := n.linked(ctx, node)
	if err != nil {
		if n.logRate.Allow() {
			n.cfg.Log.Warn("a node cannot be reached for calls", "node", node, "error", err)
		}
		return
	}
	to.calls.Store(&l)
	l.Ready(conn.Write, conn.Cut)
	select {
	case <-conn.Done():
	case <-n.life.Done():
	}
}

// Route returns the value of a Route header that takes a request to a phone's flow at a node; or, when the phone asks, to its
// call there.
func (n *Nodes) Route(node string, f telephony.Flow, asks bool) string {
	value := "<sip:" + n.cfg.Tokens.Seal(f) + "@" + node + ";lr;node=" + n.cfg.Node
	if asks {
		value += ";asks"
	}
	return value + ">"
}

// incoming is a connection that another node opened, for the calls on it.
type incoming struct {
	n     *Nodes
	link  sip.Link
	ready chan struct{} // closed when responses can be written
}

func (n *Nodes) newIncoming(nc net.Conn) *incoming {
	in := &incoming{n: n, ready: make(chan struct{})}
	if n.cfg.Calls != nil {
		remote, _ := netip.ParseAddrPort(nc.RemoteAddr().String())
		in.link = n.cfg.Calls.Accept(remote)
	}
	return in
}

func (in *incoming) begin(conn *sip.Conn) {
	if in.link != nil {
		in.link.Ready(conn.Write, conn.Cut)
	}
	close(in.ready)
}

func (in *incoming) end() {
	if in.link != nil {
		in.link.Gone()
	}
}

// take takes the requests of calls; a token that is not ours gets 403.
func (in *incoming) take(m *wire.Message) bool {
	if in.link == nil || !isCall(m) {
		return false
	}
	<-in.ready
	flow, params, err := in.n.flow(m)
	if err != nil {
		return false // refused like any other request
	}
	_, asks := wire.Param(params, "asks")
	node, _ := wire.Param(params, "node")
	in.link.Request(m, sip.Routed{Node: string(node), Flow: flow, Asks: asks})
	return true
}
