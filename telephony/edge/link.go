package edge

import (
	"context"
	"net/netip"
	"sync"

	"demarc/telephony"
	"demarc/telephony/edge/read"
	"demarc/telephony/edge/transport"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// Nodes is what Calls may be too, where there are several nodes.
type Nodes interface {
	// Dial begins to connect to a node, without waiting, and tells the link what comes of it, unless there is an error.
	Dial(node string, l sip.Link) error
	// Route returns the value of the Route header that takes a request to a phone's flow at the node; or, when the phone asks, to
	// its call there, from its flow here.
	Route(node string, f telephony.Flow, asks bool) string
}

// link is a connection to another node, over which messages of calls go. What is sent before it stands waits.
type link struct {
	s    *Signalling
	node string // that it was dialled to; empty for one that another node opened
	flow *flow
	out  transport.Outbox
	end  sync.Once

	mu     sync.Mutex
	close  func() // the connection; nil before it stands
	broken bool   // it is to be closed
}

// maxLinkQueue is what may wait for another node: it speaks for many phones.
const maxLinkQueue = 8 << 20

// nodeListener stands on flows, in counters and logs in the place of a listener.
const nodeListener = "node"

func (s *Signalling) newLink(node string, remote netip.AddrPort) *link {
	l := &link{s: s, node: node}
	l.flow = s.edge.newFlow(Listener{Name: nodeListener, Transport: telephony.TLS}, remote, &l.out)
	l.flow.gone = make(chan struct{})
	l.flow.known.Store(true)
	l.out.OutboxConfig = transport.OutboxConfig{
		Limit: maxLinkQueue, Cut: l.cut, Buffers: &s.edge.buffers,
		Slow:  func() { s.edge.count.rejects.add(Reject{nodeListener, "slow_reader"}, 1) },
		Fault: func(value any) { s.edge.panicked("link", value) },
	}
	l.out.Cork()
	return l
}

// link returns the connection to a node, which is opened when there is none.
func (s *Signalling) link(node string) (*link, error) {
	if s.nodes == nil {
		return nil, errNoNodes
	}
	s.linking.Lock()
	defer s.linking.Unlock()
	if l := s.links[node]; l != nil {
		return l, nil
	}
	l := s.newLink(node, netip.AddrPort{})
	if err := s.nodes.Dial(node, l); err != nil {
		return nil, err
	}
	s.links[node] = l
	return l, nil
}

// Accept takes a connection that another node opened.
func (s *Signalling) Accept(remote netip.AddrPort) sip.Link { return s.newLink("", remote) }

// Ready implements sip.Link.
func (l *link) Ready(write func([]byte) error, cut func()) {
	l.mu.Lock()
	l.close = cut
	broken := l.broken
	l.mu.Unlock()
	if broken {
		cut()
		return
	}
	l.out.Flush = func(b []byte, ends []int) error {
		begin := 0
		for _, end := range ends {
			if err := write(b[begin:end]); err != nil {
				return err
			}
			begin = end
		}
		return nil
	}
	l.out.Uncork()
}

// cut ends the connection: the other node does not read. Gone follows.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken = true; l.close != nil {
		l.close()
	}
}

// Gone implements sip.Link.
func (l *link) Gone() {
	defer l.out.Finish()
	l.end.Do(func() {
		l.s.linking.Lock()
		if l.s.links[l.node] == l {
			delete(l.s.links, l.node)
		}
		l.s.linking.Unlock()
		close(l.flow.gone)
		l.s.uac.FlowGone(l.flow.ID)
		l.s.relay.gone(l.flow.ID)
	})
}

// Response implements sip.Link.
func (l *link) Response(m *wire.Message) bool {
	l.s.edge.tapped(l.flow, m, l.s.edge.cfg.Now())
	return l.s.response(l.flow, m)
}

// Request implements sip.Link: for a phone here, or from a phone there to its call here.
func (l *link) Request(m *wire.Message, r sip.Routed) {
	defer l.s.edge.recovered("link")
	if !l.s.served() {
		return
	}
	if !r.Asks {
		if !m.Is("BYE") && !m.Is("CANCEL") && !m.Is("ACK") { // also what finds a phone here that has come in its call, or since this node's start
			l.s.relay.carries(m, r.Node)
		}
		phone, _ := read.AoR(m.ToAddr())
		l.s.relay.request(l.flow, m, methodNamed(m.Method), signal.Way{Node: l.s.edge.cfg.Node, Flow: r.Flow, AoR: phone})
		return
	}
	f := &flow{Flow: r.Flow, key: l.s.edge.transactionKey(r.Flow, r.Node), writer: &l.out, inHand: newInHand(), gone: l.flow.gone, node: r.Node}
	f.known.Store(true) // a node speaks for it
	l.s.edge.tapped(f, m, l.s.edge.cfg.Now())
	if m.Is("ACK") {
		l.s.edge.ack(f, m)
		return
	}
	if status, reason, headers := l.s.edge.examine(m); status != 0 {
		l.s.edge.answer(f, m, status, reason, headers...)
		return
	}
	l.s.edge.call(context.Background(), f, m)
}

// linked is the flow of a phone at another node. transaction.Carrier.
type linked struct {
	link  *link
	route string
}

func (c *linked) Flow() telephony.Flow { return c.link.flow.Flow }
func (c *linked) Route() string        { return c.route }

// SentBy is the same before and after the connection stands: a CANCEL is found by it. Responses come over the connection.
func (c *linked) SentBy() string { return unspecifiedSentBy }

func (c *linked) Send(to telephony.AoR, b []byte) {
	c.link.s.edge.tap(c.link.flow, to, false, b)
	c.link.out.Send(b)
}
