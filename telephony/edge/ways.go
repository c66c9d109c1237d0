package edge

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
	"demarc/telephony/sip/transaction"
)

// ways finds open flows for the client transactions of calls.
type ways struct{ s *Signalling }

// Errors for people, in the words of a call's history.
var (
	errNoFlow    = errors.New("the phone has no open connection: it is switched off, or without network")
	errNoAddress = errors.New("our address that the phone writes to is not on this host any more, and it has no other connection")
	errNotServed = errors.New("the node does not serve calls yet")
	errNoNodes   = errors.New("the phone's connection is at another node: set telephony.internal_listen on both")
)

// maxUnfragmented is how large a request may be over UDP (RFC 3261 §18.1.1). A larger one goes over a stream of the phone if
// it has one; else it is sent all the same and fragmented, for the phone has no other way.
const maxUnfragmented = 1300

// carrier is an open flow of this node. Each has one, as soon as it is asked for: transactions keep it.
type carrier struct {
	s    *Signalling
	flow *flow
}

func (s *Signalling) carrier(f *flow) *carrier {
	if c := f.carrier.Load(); c != nil {
		return c
	}
	c := &carrier{s, f}
	f.carrier.Store(c)
	return c
}

func (c *carrier) Flow() telephony.Flow { return c.flow.Flow }
func (c *carrier) SentBy() string       { return c.s.sentBy[c.flow.Listener] }
func (c *carrier) Route() string        { return "" }

func (c *carrier) Send(to telephony.AoR, b []byte) {
	if !c.flow.carried.Load() {
		c.flow.carried.Store(true)
	}
	c.s.edge.tap(c.flow, to, false, b)
	c.flow.writer.Send(b)
}

// Open finds the flow: the way's own while it is open, else the newest one of the same phone. What shows no end here, an address or a
// connection of another node, is left when the phone has registered over another way since.
func (w ways) Open(way signal.Way, size int) (transaction.Carrier, error) {
	way = w.s.follow(way)
	if way.Node != "" && way.Node != w.s.edge.cfg.Node {
		return w.s.elsewhere(way)
	}
	f, err := w.s.edge.find(way.Flow)
	if err == nil && (way.Flow.Transport.Stream() || size <= maxUnfragmented) {
		return w.s.carrier(f), nil
	}
	if err == nil {
		if stream := w.s.stream(way); stream != nil {
			f = stream
		}
		return w.s.carrier(f), nil
	}
	if way.Path != "" && w.s.edge.isProxy(way.Flow.Remote.Addr()) {
		if f := w.s.edge.another(way.Flow); f != nil {
			return w.s.carrier(f), nil
		}
	}
	for _, b := range w.s.phone(way) {
		if f, err := w.s.edge.find(b.Flow); err == nil && b.Node == w.s.edge.cfg.Node {
			return w.s.carrier(f), nil
		}
		if b.Node != w.s.edge.cfg.Node {
			way.Node, way.Flow = b.Node, b.Flow
			return w.s.elsewhere(way)
		}
	}
	if errors.Is(err, errAddressGone) {
		return nil, errNoAddress
	}
	return nil, errNoFlow
}

// follow returns the way as it is, or the one to where its phone is registered by now.
func (s *Signalling) follow(way signal.Way) signal.Way {
	node := cmp.Or(way.Node, s.edge.cfg.Node)
	if node == s.edge.cfg.Node && way.Flow.Transport.Stream() || way.Path != "" || way.AoR.IsZero() || !s.served() {
		return way
	}
	if b, stands := s.calls.Standing(way.AoR, way.Flow); stands && cmp.Or(b.Node, s.edge.cfg.Node) == node {
		return way
	}
	for _, b := range s.phone(way) {
		if b.Path == "" {
			way.Node, way.Flow = b.Node, b.Flow
			break
		}
	}
	return way
}

// SamePhone reports whether the very phone that the way leads to stands on the flow.
func (w ways) SamePhone(way signal.Way, flow uint64) bool {
	return way.Instance != "" && w.s.served() && slices.ContainsFunc(w.s.calls.Bindings(way.AoR), func(b registration.Binding) bool {
		return b.Flow.ID == flow && samePhone(way, b)
	})
}

// samePhone compares by instance (RFC 5626 §4.1), and by Contact for phones that have none.
func samePhone(way signal.Way, b registration.Binding) bool {
	if way.Instance != "" {
		return telephony.SameInstance(b.Instance, way.Instance)
	}
	return way.Contact != "" && b.Instance == "" && b.Contact == way.Contact
}

// elsewhere returns the way to a phone's flow at another node; or, when no phone is named, from a phone's flow here to its call
// there.
func (s *Signalling) elsewhere(way signal.Way) (transaction.Carrier, error) {
	if !s.served() {
		return nil, errNotServed
	}
	l, err := s.link(way.Node)
	if err != nil {
		return nil, err
	}
	return &linked{link: l, route: s.nodes.Route(way.Node, way.Flow, way.AoR.IsZero())}, nil
}

// another returns the newest open flow of the phone that the way leads to.
func (s *Signalling) another(way signal.Way) (*flow, error) {
	for _, b := range s.phone(way) {
		if f, err := s.edge.find(b.Flow); err == nil && s.isHere(b.Node) {
			return f, nil
		}
	}
	return nil, errNoFlow
}

// isHere reports whether a binding's flow is this node's: a phone takes datagrams from the address alone that it writes to.
func (s *Signalling) isHere(node string) bool {
	return cmp.Or(node, s.edge.cfg.Node) == s.edge.cfg.Node
}

// stream returns the newest open stream of the phone that the way leads to, or nil.
func (s *Signalling) stream(way signal.Way) *flow {
	for _, b := range s.phone(way) {
		if f, err := s.edge.find(b.Flow); err == nil && b.Flow.Transport.Stream() && s.isHere(b.Node) {
			return f
		}
	}
	return nil
}

// phone returns the reachable bindings of the phone that a way leads to, newest first.
func (s *Signalling) phone(way signal.Way) []registration.Binding {
	if way.AoR.IsZero() || !s.served() {
		return nil
	}
	found := slices.DeleteFunc(s.calls.Bindings(way.AoR), func(b registration.Binding) bool {
		return !b.Reachable || !samePhone(way, b)
	})
	slices.SortFunc(found, func(a, b registration.Binding) int { return b.RefreshedAt.Compare(a.RefreshedAt) })
	return found
}

// speaker is who sends over a flow, as far as the flow and the bindings tell.
type speaker struct {
	way     signal.Way // back to him; its texts may be kept
	account account.ID // when it is known that he stands on the flow
	proof   uint32     // of his binding on the flow, if there is one
}

// speakerOf returns who a request over a flow says it is from. The user's texts may be borrowed.
func (s *Signalling) speakerOf(f *flow, user telephony.AoR) speaker {
	way := signal.Way{Node: cmp.Or(f.node, s.edge.cfg.Node), Flow: f.Flow}
	b, bound := s.calls.Standing(user, f.Flow)
	if !bound {
		way.AoR = f.own(user)
		return speaker{way: way, account: f.account(user)}
	}
	if way.AoR = b.AoR; b.AoR != user {
		way.AoR = f.own(user)
	}
	if !f.Transport.Stream() && s.isHere(b.Node) {
		f.prove() // he has registered over it: it may have been forgotten since
	}
	way.Instance, way.Contact, way.Path = b.Instance, b.Contact, b.Path
	f.first(way.AoR, b.Account)
	return speaker{way, b.Account, b.Proof}
}

// closed reports whether a way leads through a proxy to which no connection is open.
func (s *Signalling) closed(way signal.Way) bool {
	e := s.edge
	if e.cfg.NextHop == nil || way.Node != "" && way.Node != e.cfg.Node || !e.isProxy(way.Flow.Remote.Addr()) {
		return false
	}
	_, err := ways{s}.Open(way, 0)
	return err != nil
}

// open opens a way through a proxy.
func (s *Signalling) open(ctx context.Context, way signal.Way) (telephony.Flow, error) {
	f, err := s.edge.toProxy(ctx, way.Flow, way.Path)
	if err != nil {
		return telephony.Flow{}, err
	}
	return f.Flow, nil
}
