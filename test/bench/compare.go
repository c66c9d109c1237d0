package main

import (
	"context"
	"crypto/tls"
	"errors"
	"path/filepath"
)

// The loads: a socket stands for a NAT or proxy with many phones behind it, a connection for one phone.
func overUDP(users int) shape { return shape{transport: "UDP", lanes: 8, slots: 8, phones: users / 64} }
func overTLS(phones int) shape {
	return shape{transport: "TLS", lanes: phones, slots: 1, phones: 1}
}

const (
	registerUsers = 9600 // a multiple of 64
	tlsPhones     = 200
)

// register compares REGISTER with Kamailio: in memory, and with the binding committed before the 200.
func (b *bench) register(ctx context.Context) error {
	rows := newTable("REGISTER with digest", "demarc", "Kamailio")
	defer rows.print(b.out) // what was measured before a failure too
	for _, measure := range []func(context.Context, *table) error{b.registerInMemory, b.registerPostgres, b.registerSQLite} {
		if err := measure(ctx, rows); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) registerInMemory(ctx context.Context, rows *table) (err error) {
	ours, err := startDemarc(ctx, b.program, filepath.Join(b.dir, "memory"),
		setting{roles: "telephony", users: registerUsers})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	theirs, err := startKamailio(ctx, filepath.Join(b.dir, "kamailio"), registerUsers, true, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.stop()) }()
	for _, c := range []struct {
		name  string
		shape shape
	}{
		{"UDP, bindings in memory", overUDP(registerUsers)},
		{"open TLS connections, bindings in memory", overTLS(tlsPhones)},
	} {
		samples, err := compare(ctx, b.timing, registering(ours, c.shape, nil), registeringKamailio(theirs, c.shape, nil))
		if err != nil {
			return err
		}
		rows.add(c.name, samples[0], samples[1])
	}
	return nil
}

// registerPostgres counts the CPU of each one's own PostgreSQL.
func (b *bench) registerPostgres(ctx context.Context, rows *table) (err error) {
	one, err := startPostgres(ctx, filepath.Join(b.dir, "postgres-a"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, one.stop()) }()
	two, err := startPostgres(ctx, filepath.Join(b.dir, "postgres-b"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, two.stop()) }()
	url, err := one.create(ctx, "demarc")
	if err != nil {
		return err
	}
	ours, err := startDemarc(ctx, b.program, filepath.Join(b.dir, "stored"),
		setting{roles: "telephony", store: url + "?sslmode=disable", users: registerUsers})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	const tables = "/usr/share/kamailio/postgres/"
	if url, err = two.create(ctx, "kamailio", tables+"standard-create.sql", tables+"usrloc-create.sql"); err != nil {
		return err
	}
	theirs, err := startKamailio(ctx, filepath.Join(b.dir, "kamailio-stored"), registerUsers, false, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.stop()) }()
	for _, c := range []struct {
		name  string
		shape shape
	}{
		{"UDP, committed to PostgreSQL before the 200, 64 at a time", overUDP(registerUsers)},
		{"the same, 512 at a time", shape{transport: "UDP", lanes: 8, slots: 64, phones: registerUsers / 512}},
	} {
		samples, err := compare(ctx, b.timing, registering(ours, c.shape, one.process),
			registeringKamailio(theirs, c.shape, two.process))
		if err != nil {
			return err
		}
		rows.add(c.name, samples[0], samples[1])
	}
	return nil
}

// registerSQLite has nobody to compare with: Kamailio's SQLite module is not write-through at any comparable rate.
func (b *bench) registerSQLite(ctx context.Context, rows *table) (err error) {
	ours, err := startDemarc(ctx, b.program, filepath.Join(b.dir, "sqlite"),
		setting{roles: "telephony", users: registerUsers})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	for _, c := range []struct {
		name  string
		shape shape
	}{
		{"UDP, committed to SQLite before the 200", overUDP(registerUsers)},
		{"open TLS connections, committed to SQLite", overTLS(tlsPhones)},
	} {
		samples, err := compare(ctx, b.timing, registering(ours, c.shape, nil))
		if err != nil {
			return err
		}
		rows.add(c.name, samples[0], nil)
	}
	return nil
}

func registering(d *demarc, s shape, database *process) contestant {
	address, trusted := d.udp, d.clientTLS
	if s.transport == "TLS" {
		address = d.tls
	}
	return contestant{name: "demarc", server: d.process, database: database, prepare: phones(s, address, trusted)}
}

func registeringKamailio(k *kamailio, s shape, database *process) contestant {
	if s.transport == "TLS" {
		return contestant{name: "Kamailio", server: k.process, prepare: phones(s, k.tls, k.clientTLS)}
	}
	none := func() (*tls.Config, error) { return nil, nil }
	return contestant{name: "Kamailio", server: k.process, database: database, prepare: phones(s, k.udp, none)}
}

func phones(s shape, address string, trusted func() (*tls.Config, error)) func(context.Context) (worker, func() error, error) {
	return func(ctx context.Context) (worker, func() error, error) {
		config, err := trusted()
		if err != nil {
			return worker{}, nil, err
		}
		l, err := dial(ctx, s, address, config)
		if err != nil {
			return worker{}, nil, err
		}
		return worker{run: l.run, count: l.done.Load}, l.close, nil
	}
}
