package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// relayed compares the relaying of packets.
func (b *bench) relayed(calls int, secure bool) func(context.Context, *table) error {
	return func(ctx context.Context, rows *table) (err error) {
		if b.quick {
			calls = 20
		}
		ours, err := b.startMedia(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ours.stop()) }()
		all := []contestant{{name: "demarc", server: ours.process, prepare: relaying(ours, calls, secure)}}
		if !b.alone {
			theirs, err := b.startRTPEngine(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, theirs.stop()) }()
			all = append(all, contestant{name: "rtpengine", server: theirs.process, prepare: relaying(theirs, calls, secure)})
		}
		name := fmt.Sprintf("packet relayed, %d calls of 100 packets/s", calls)
		if secure {
			name = fmt.Sprintf("packet from SRTP to RTP or back, %d calls", calls)
		}
		return rows.compare(ctx, b.timing, name, all...)
	}
}

func relaying(server relayServer, calls int, secure bool) func(context.Context) (worker, func() error, error) {
	return func(ctx context.Context) (worker, func() error, error) {
		l, err := newRelayLoad()
		if err != nil {
			return worker{}, nil, err
		}
		if err := l.set(ctx, server, calls, secure); err != nil {
			return worker{}, nil, errors.Join(err, l.close())
		}
		return l.worker(), l.close, nil
	}
}

// delays measures how long a packet is on its way through a relay with 200 calls, loopback and the bench's own reading included.
func (b *bench) delays(ctx context.Context, rows *table) error {
	ours, err := b.startMedia(ctx)
	if err != nil {
		return err
	}
	cell, err := b.timed(ctx, ours)
	if err = errors.Join(err, ours.stop()); err != nil {
		return err
	}
	other := "–"
	if !b.alone {
		theirs, err := b.startRTPEngine(ctx)
		if err != nil {
			return err
		}
		other, err = b.timed(ctx, theirs)
		if err = errors.Join(err, theirs.stop()); err != nil {
			return err
		}
	}
	rows.line("packet on its way through a relay of 200 calls: median / 90 % / 99 %", cell, other)
	return nil
}

func (b *bench) timed(ctx context.Context, server relayServer) (cell string, err error) {
	l, err := newRelayLoad()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.set(ctx, server, 200, false); err != nil {
		return "", err
	}
	running, cancel := context.WithTimeout(ctx, b.timing.warm+b.timing.window)
	defer cancel()
	if err := l.worker().run(running); err != nil {
		return "", err
	}
	all := slices.Sorted(slices.Values(l.delay))
	if len(all) == 0 {
		return "", errors.New("no packet was timed")
	}
	at := func(percent int) float64 { return micros(all[len(all)*percent/100]) / 1000 }
	return fmt.Sprintf("%.2f / %.2f / %.2f ms", at(50), at(90), at(99)), nil
}

// idleCalls measures what the media of a call holds when nothing is said: demarc's heap, rtpengine's resident memory.
func (b *bench) idleCalls(ctx context.Context, rows *table) error {
	calls := 1000
	if b.quick {
		calls = 100
	}
	ours, err := b.startMedia(ctx)
	if err != nil {
		return err
	}
	cell, err := holdCalls(ctx, ours, calls, func() (float64, error) { return ours.heap(ctx) })
	if err = errors.Join(err, ours.stop()); err != nil {
		return err
	}
	other := "–"
	if !b.alone {
		theirs, err := b.startRTPEngine(ctx)
		if err != nil {
			return err
		}
		other, err = holdCalls(ctx, theirs, calls, func() (float64, error) {
			n, err := theirs.proportional()
			return float64(n), err
		})
		if err = errors.Join(err, theirs.stop()); err != nil {
			return err
		}
	}
	rows.line(fmt.Sprintf("media of an idle call, one of %d, one leg by SRTP (demarc: heap; rtpengine: resident)", calls), cell, other)
	return nil
}

func holdCalls(ctx context.Context, server relayServer, calls int, held func() (float64, error)) (cell string, err error) {
	l, err := newRelayLoad()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.set(ctx, server, 1, true); err != nil { // what the first call needs once
		return "", err
	}
	if err := server.hangUp(ctx, 0); err != nil {
		return "", err
	}
	before, err := held()
	if err != nil {
		return "", err
	}
	if err := l.set(ctx, server, calls, true); err != nil {
		return "", err
	}
	if err := pause(ctx, 2*time.Second, nil); err != nil {
		return "", err
	}
	after, err := held()
	return fmt.Sprintf("%.1f kB", (after-before)/float64(calls)/1000), err
}
