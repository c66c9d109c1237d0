package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// calling is a closed loop of calls without talk time: INVITE with SDP → (100) → 180 → 200 → ACK → BYE → 200. Callers and
// callees have sockets of their own; callees answer from what a request says and remember nothing.
type calling struct {
	callers []*caller
	callees []*callee
	done    atomic.Int64
}

// dialCalling opens the sockets and registers everybody: lanes of callers, and as many of callees.
func dialCalling(ctx context.Context, s shape, address string, config *tls.Config) (_ *calling, err error) {
	c := &calling{}
	half := s
	half.slots, half.phones = 1, s.slots
	first := s.first
	for i := range s.lanes {
		half.lanes, half.first = 1, first+2*i*s.slots
		from, err := registered(ctx, half, address, config)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		half.first += s.slots
		to, err := registered(ctx, half, address, config)
		if err != nil {
			return nil, errors.Join(err, from.Close(), c.close())
		}
		c.add(s, i, from, to)
	}
	for _, one := range c.callees {
		go func() { _ = one.run() }() // it ends with its connection
	}
	return c, nil
}

func (c *calling) add(s shape, i int, from, to net.Conn) {
	secure, suffix := s.transport == "TLS", ""
	if secure {
		suffix = ";transport=tls"
	}
	read := func() reader { return reader{buf: make([]byte, 64<<10), datagrams: !secure} }
	one := &caller{
		conn: from, local: from.LocalAddr().String() + suffix, done: &c.done, in: read(), offer: sdpOf(secure, "0 8 101", "1"),
		via: "Via: SIP/2.0/" + s.transport + " " + from.LocalAddr().String() + ";rport;branch=z9hG4bK",
	}
	for n := range s.slots {
		user := s.first + 2*i*s.slots + n
		one.slots = append(one.slots, callSlot{user: subscriber(user), callee: subscriber(user + s.slots), call: int(time.Now().UnixMicro() & (1<<40 - 1))})
	}
	c.callers = append(c.callers, one)
	c.callees = append(c.callees, &callee{conn: to, local: to.LocalAddr().String() + suffix, secure: secure, in: read()})
}

// registered opens one socket and registers its users over it.
func registered(ctx context.Context, s shape, address string, config *tls.Config) (net.Conn, error) {
	l, err := dial(ctx, s, address, config)
	if err != nil {
		return nil, err
	}
	one := l.lanes[0]
	if s.transport == "TLS" {
		one.local += ";transport=tls"
	}
	all := one.slots[0].phones
	for _, p := range all {
		one.slots[0] = slot{phones: []*phone{p}}
		if err := one.once(); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return one.conn, nil
}

func (c *calling) run(ctx context.Context) error {
	return everybody(ctx, c.callers, func(ctx context.Context, one *caller) error { return one.run(ctx) })
}

func (c *calling) close() error {
	var all []error
	for i := range c.callers {
		all = append(all, c.callers[i].conn.Close(), c.callees[i].conn.Close())
	}
	return errors.Join(all...)
}

// calls compares whole calls through our B2BUA with Kamailio as a proxy. Nobody is challenged on either side, or callers are on both.
func (b *bench) calls(s shape, allocator string) func(context.Context, *table) error {
	return func(ctx context.Context, rows *table) (err error) {
		users := 2 * s.lanes * s.slots
		ours, err := startDemarc(ctx, b.program, b.scratch(), setting{
			roles: "telephony", bindings: "memory", users: users, trusting: !s.challenged,
		})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ours.stop()) }()
		all := []contestant{callingAt("demarc", ours.process, s, ours.udp, ours.tls, ours.clientTLS)}
		if !b.alone {
			theirs, err := startKamailio(ctx, b.scratch(), kamailioSetting{
				users: users, tls: true, challenging: s.challenged, allocator: allocator,
			})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, theirs.stop()) }()
			all = append(all, callingAt("Kamailio", theirs.process, s, theirs.udp, theirs.tls, theirs.clientTLS))
		}
		name := "INVITE…BYE over " + s.name()
		if s.challenged {
			name += ", the INVITE with digest"
		}
		if !b.alone && allocator == plain {
			name += "; Kamailio with its plain allocator"
		}
		return rows.compare(ctx, b.timing, name, all...)
	}
}

func callingAt(name string, p *process, s shape, udp, secure string, trusted func() (*tls.Config, error)) contestant {
	return contestant{name: name, server: p, prepare: func(ctx context.Context) (worker, func() error, error) {
		address := udp
		var config *tls.Config
		var err error
		if s.transport == "TLS" {
			address = secure
			if config, err = trusted(); err != nil {
				return worker{}, nil, err
			}
		}
		c, err := dialCalling(ctx, s, address, config)
		if err != nil {
			return worker{}, nil, err
		}
		return worker{run: c.run, count: c.done.Load}, c.close, nil
	}}
}
