package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// heldCalls measures what a call that lasts holds in demarc, signalling and media of both legs together: the live heap with many of
// them, once their INVITEs are forgotten. The phones are in this process.
func (b *bench) heldCalls(ctx context.Context, rows *table) (err error) {
	s, settled := shape{transport: "UDP", lanes: 8, slots: 125}, 40*time.Second // longer than 64*T1
	if b.quick {
		s.slots, settled = 5, 2*time.Second
	}
	calls := s.lanes * s.slots
	ours, err := startDemarc(ctx, b.program, b.scratch(), setting{
		roles: "telephony", bindings: "memory", users: 2 * calls, trusting: true, patient: true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	c, err := dialCalling(ctx, s, ours.udp, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	before, err := ours.live(ctx)
	if err != nil {
		return err
	}
	for _, one := range c.callers {
		for n := range one.slots {
			if err := one.talk(n); err != nil {
				return err
			}
		}
	}
	if err := pause(ctx, settled, nil); err != nil {
		return err
	}
	after, err := ours.live(ctx)
	if err != nil {
		return err
	}
	rows.line(fmt.Sprintf("heap of a call that lasts, one of %d, with its signalling and media", calls),
		fmt.Sprintf("%.1f kB", (after-before)/float64(calls)/1000), "–")
	return nil
}

// talk begins the slot's call, waits for the answer and lets it last.
func (c *caller) talk(n int) error {
	if err := c.invite(n); err != nil {
		return err
	}
	s := &c.slots[n]
	ok, err := c.final(n, s.cseq, "INVITE")
	if err != nil {
		return err
	}
	s.ok = append(s.ok[:0], ok...)
	return c.within(n, s.ok, "ACK", s.cseq)
}

// hangUp ends the slot's call that lasts.
func (c *caller) hangUp(n int) error {
	s := &c.slots[n]
	if err := c.within(n, s.ok, "BYE", s.cseq+1); err != nil {
		return err
	}
	_, err := c.final(n, s.cseq+1, "BYE")
	return err
}

// final waits for the 200 to a request of the slot, and passes over what else is said, to other slots' once more too.
func (c *caller) final(n, cseq int, method string) ([]byte, error) {
	call := fmt.Sprintf("%d-%s-%d", n, c.slots[n].user, c.slots[n].call)
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(patience(c.conn))); err != nil {
			return nil, err
		}
		m, err := c.in.next(c.conn)
		switch {
		case err != nil:
			return nil, err
		case string(value(m, "Call-ID")) != call || string(value(m, "CSeq")) != fmt.Sprintf("%d %s", cseq, method) || m[8] == '1':
		case string(m[8:11]) == "200":
			return m, nil
		default:
			return nil, fmt.Errorf("a call failed: %.400q", m)
		}
	}
}

// setUp measures the delay that a server adds to the set-up of a call: from the caller's INVITE until the callee has it, one call at
// a time, loopback and the bench's own reading included.
func (b *bench) setUp(ctx context.Context, rows *table) (err error) {
	calls := 2000
	if b.quick {
		calls = 50
	}
	ours, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "telephony", bindings: "memory", users: 2, trusting: true})
	if err != nil {
		return err
	}
	cell, err := delayed(ctx, ours.udp, calls)
	if err = errors.Join(err, ours.stop()); err != nil {
		return err
	}
	other := "–"
	if !b.alone {
		theirs, err := startKamailio(ctx, b.scratch(), kamailioSetting{users: 2, tls: true})
		if err != nil {
			return err
		}
		other, err = delayed(ctx, theirs.udp, calls)
		if err = errors.Join(err, theirs.stop()); err != nil {
			return err
		}
	}
	rows.line("INVITE from the caller to the callee, UDP, one call at a time: median / 90 % / 99 %", cell, other)
	return nil
}

func delayed(ctx context.Context, address string, calls int) (cell string, err error) {
	c, err := dialCalling(ctx, shape{transport: "UDP", lanes: 1, slots: 1}, address, nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var all []time.Duration
	one := c.callers[0]
	for range calls {
		began := time.Now()
		if err := one.talk(0); err != nil {
			return "", err
		}
		all = append(all, time.Duration(c.callees[0].asked.Load())-time.Duration(began.UnixNano()))
		if err := one.hangUp(0); err != nil {
			return "", err
		}
		if err := pause(ctx, time.Millisecond, nil); err != nil {
			return "", err
		}
	}
	slices.Sort(all)
	at := func(percent int) float64 { return micros(all[len(all)*percent/100]) }
	return fmt.Sprintf("%.0f / %.0f / %.0f µs", at(50), at(90), at(99)), nil
}
