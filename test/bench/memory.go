package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	idlePhones   = 5000
	perAddress   = 500 // connections from one loopback address: demarc limits them
	heldBindings = 99_840
)

// idle measures what an open TLS connection of a registered phone holds resident (proportional set size), when nothing
// is said on it.
func (b *bench) idle(ctx context.Context, rows *table) error {
	phones := idlePhones
	if b.quick {
		phones = 500
	}
	ours, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "telephony", bindings: "memory", users: phones})
	if err != nil {
		return err
	}
	cell, err := holdIdle(ctx, ours.process, ours.tls, ours.clientTLS, phones)
	if err = errors.Join(err, ours.stop()); err != nil {
		return err
	}
	other := "–"
	if !b.alone {
		theirs, err := startKamailio(ctx, b.scratch(), kamailioSetting{users: phones, tls: true})
		if err != nil {
			return err
		}
		other, err = holdIdle(ctx, theirs.process, theirs.tls, theirs.clientTLS, phones)
		if err = errors.Join(err, theirs.stop()); err != nil {
			return err
		}
	}
	rows.line(fmt.Sprintf("idle TLS connection, one of %d with a registration", phones), cell, other)
	return nil
}

func holdIdle(ctx context.Context, server *process, address string, trusted func() (*tls.Config, error), phones int) (
	cell string, err error) {
	config, err := trusted()
	if err != nil {
		return "", err
	}
	before, err := server.proportional()
	if err != nil {
		return "", err
	}
	for i := range phones { // one after the other: a connection that says nothing for long is closed
		l, failed := dial(ctx, shape{transport: "TLS", lanes: 1, slots: 1, phones: 1, first: i}, address, config)
		if failed != nil {
			return "", failed
		}
		defer func() { err = errors.Join(err, l.close()) }()
		if err := l.lanes[0].once(); err != nil {
			return "", err
		}
	}
	if err := pause(ctx, 15*time.Second, nil); err != nil { // what the handshakes have left is gone then
		return "", err
	}
	after, err := server.proportional()
	return fmt.Sprintf("%.1f kB", float64(after-before)/float64(phones)/1000), err
}

// bindings measures the live heap with many registered phones: what the garbage collector found in use, all of the server
// included; once as shipped, and once without the SIP trace, whose memory does not grow with the phones.
func (b *bench) bindings(ctx context.Context, rows *table) error {
	phones := heldBindings
	if b.quick {
		phones = 9984
	}
	for _, untraced := range []bool{false, true} {
		before, after, err := b.heapWith(ctx, phones, untraced)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("live heap with %d bindings (%.1f MB without)", phones, before/1e6)
		if untraced {
			name += ", trace_memory 0"
		}
		rows.line(name, fmt.Sprintf("%.1f MB", after/1e6), "–")
	}
	return nil
}

// heapWith returns the live heap in bytes before the first phone came and with all of them.
func (b *bench) heapWith(ctx context.Context, phones int, untraced bool) (before, after float64, err error) {
	ours, err := startDemarc(ctx, b.program, b.scratch(),
		setting{roles: "telephony", bindings: "memory", users: phones, untraced: untraced})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	if before, err = ours.quiet(ctx); err != nil {
		return 0, 0, err
	}
	// Settling lets everybody register; then some of them again.
	w, end, err := phonesOf(shape{transport: "UDP", lanes: 8, slots: 8, phones: phones / 64}, ours.udp, ours.clientTLS)(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, end()) }()
	running, cancel := context.WithTimeout(ctx, b.timing.warm+b.timing.window)
	defer cancel()
	if err := w.run(running); err != nil {
		return 0, 0, err
	}
	if after, err = ours.quiet(ctx); err == nil && b.timing.profiles != "" {
		err = ours.takeHeap(ctx, b.timing.profiles)
	}
	return before, after, err
}

// quiet lets what was going on end and be collected, and returns the live heap.
func (d *demarc) quiet(ctx context.Context) (float64, error) {
	if err := pause(ctx, 8*time.Second, nil); err != nil {
		return 0, err
	}
	return d.live(ctx)
}

// live reads the heap in use after a garbage collection.
func (d *demarc) live(ctx context.Context) (float64, error) {
	if err := d.profiled(ctx, "heap", "--output", filepath.Join(d.dir, "heap.pprof")); err != nil { // it collects before
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.metrics+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	for lines := bufio.NewScanner(reply.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "go_gc_heap_live_bytes "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.New("the metrics do not tell go_gc_heap_live_bytes")
}

// from returns the loopback address that the nth connection comes from.
func from(n int) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n/perAddress))}
}
