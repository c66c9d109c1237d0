package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
)

// overUDP is a load of 8 sockets, each of which stands for a NAT or proxy with many phones behind it.
func overUDP(atOnce int) shape {
	return shape{transport: "UDP", lanes: 8, slots: atOnce / 8, phones: registerUsers / atOnce}
}

// overTLS is a load of open connections with one phone each.
func overTLS() shape { return shape{transport: "TLS", lanes: 200, slots: 1, phones: 1} }

func (s shape) name() string {
	if s.transport == "TLS" {
		return "open TLS connections"
	}
	return s.transport
}

const registerUsers = 9728 // a multiple of 512

// inMemory compares REGISTER with Kamailio over UDP and over open TLS connections; neither writes anything.
func (b *bench) inMemory(c shape) func(context.Context, *table) error {
	return func(ctx context.Context, rows *table) (err error) {
		var all []contestant
		ours, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "telephony", bindings: "memory", users: registerUsers})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ours.stop()) }()
		all = append(all, registering(ours, c, nil))
		if !b.alone {
			theirs, err := startKamailio(ctx, b.scratch(), kamailioSetting{users: registerUsers, tls: true})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, theirs.stop()) }()
			all = append(all, registeringKamailio(theirs, c, nil))
		}
		return rows.compare(ctx, b.timing, "REGISTER over "+c.name()+", bindings in memory", all...)
	}
}

// newConnections compares a full TLS handshake, the registration over it, and the close.
func (b *bench) newConnections(ctx context.Context, rows *table) (err error) {
	ours, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "telephony", bindings: "memory", users: newPhones})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	all := []contestant{{name: "demarc", server: ours.process, prepare: connecting(ours.tls, ours.clientTLS)}}
	if !b.alone {
		theirs, err := startKamailio(ctx, b.scratch(), kamailioSetting{users: newPhones, tls: true})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, theirs.stop()) }()
		all = append(all, contestant{name: "Kamailio", server: theirs.process, prepare: connecting(theirs.tls, theirs.clientTLS)})
	}
	return rows.compare(ctx, b.timing, "new TLS connection and REGISTER, bindings in memory", all...)
}

// newPhones is how many phones connect again and again, all at the same time.
const newPhones = 64

func connecting(address string, trusted func() (*tls.Config, error)) func(context.Context) (worker, func() error, error) {
	return func(context.Context) (worker, func() error, error) {
		config, err := trusted()
		if err != nil {
			return worker{}, nil, err
		}
		var done atomic.Int64
		numbers := make([]int, newPhones)
		for i := range numbers {
			numbers[i] = i
		}
		run := func(ctx context.Context) error {
			return everybody(ctx, numbers, func(ctx context.Context, number int) error {
				for ctx.Err() == nil {
					if err := connectOnce(ctx, number, address, config); err != nil && ctx.Err() == nil {
						return err
					}
					done.Add(1)
				}
				return nil
			})
		}
		return worker{run: run, count: done.Load}, func() error { return nil }, nil
	}
}

func connectOnce(ctx context.Context, number int, address string, config *tls.Config) error {
	l, err := dial(ctx, shape{transport: "TLS", lanes: 1, slots: 1, phones: 1, first: number}, address, config)
	if err != nil {
		return err
	}
	return errors.Join(l.lanes[0].once(), l.close())
}

// crowds are how many phones register at the same time, and how many processes Kamailio has for them: each of those waits for its own
// commit, so that the last rows give it more to show how fast it gets.
var crowds = []struct{ atOnce, children int }{{64, 2}, {512, 2}, {512, 8}, {1024, 8}}

// committed compares REGISTER whose binding is in PostgreSQL before the 200; the CPU of each one's own PostgreSQL counts. Every
// row begins with empty databases: a phone that comes from another port would be a second one of its user.
func (b *bench) committed(ctx context.Context, rows *table) error {
	for _, c := range crowds {
		if b.alone && c.children > 2 && c.atOnce == 512 {
			continue // it is the row before
		}
		name := fmt.Sprintf("REGISTER over UDP, committed to PostgreSQL, %d at a time", c.atOnce)
		if !b.alone {
			name += fmt.Sprintf("; Kamailio with %d processes", c.children)
		}
		if err := b.committedAt(ctx, rows, name, overUDP(c.atOnce), c.children); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) committedAt(ctx context.Context, rows *table, name string, s shape, children int) (err error) {
	one, url, err := b.database(ctx, "demarc")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, one.stop()) }()
	ours, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "telephony", store: url + "?sslmode=disable", users: registerUsers})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	if b.alone {
		return rows.compare(ctx, b.timing, name, registering(ours, s, one.process))
	}
	const tables = "/usr/share/kamailio/postgres/"
	two, url, err := b.database(ctx, "kamailio", tables+"standard-create.sql", tables+"usrloc-create.sql")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, two.stop()) }()
	theirs, err := startKamailio(ctx, b.scratch(), kamailioSetting{users: registerUsers, database: url, children: children})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, theirs.stop()) }()
	return rows.compare(ctx, b.timing, name, registering(ours, s, one.process), registeringKamailio(theirs, s, two.process))
}

// database starts a cluster with one database, with the tables of the given files.
func (b *bench) database(ctx context.Context, name string, files ...string) (cluster *postgres, url string, err error) {
	if cluster, err = startPostgres(ctx, b.scratch()); err != nil {
		return nil, "", err
	}
	if url, err = cluster.create(ctx, name, files...); err != nil {
		return nil, "", errors.Join(err, cluster.stop())
	}
	return cluster, url, nil
}

// onSQLite has nobody to compare with: it is the default store, for one node.
func (b *bench) onSQLite(ctx context.Context, rows *table) (err error) {
	ours, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "telephony", users: registerUsers})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	for _, c := range []shape{overUDP(64), overUDP(512), overTLS()} {
		name := fmt.Sprintf("REGISTER over %s, committed to SQLite, %d at a time", c.name(), c.lanes*c.slots)
		if err := rows.compare(ctx, b.timing, name, registering(ours, c, nil)); err != nil {
			return err
		}
	}
	return nil
}

func registering(d *demarc, s shape, database *process) contestant {
	address, trusted := d.udp, d.clientTLS
	if s.transport == "TLS" {
		address = d.tls
	}
	return contestant{name: "demarc", server: d.process, database: database, prepare: phonesOf(s, address, trusted)}
}

func registeringKamailio(k *kamailio, s shape, database *process) contestant {
	if s.transport == "TLS" {
		return contestant{name: "Kamailio", server: k.process, prepare: phonesOf(s, k.tls, k.clientTLS)}
	}
	none := func() (*tls.Config, error) { return nil, nil }
	return contestant{name: "Kamailio", server: k.process, database: database, prepare: phonesOf(s, k.udp, none)}
}

// phonesOf is a load that has settled: everybody has registered once.
func phonesOf(s shape, address string, trusted func() (*tls.Config, error)) func(context.Context) (worker, func() error, error) {
	return func(ctx context.Context) (worker, func() error, error) {
		config, err := trusted()
		if err != nil {
			return worker{}, nil, err
		}
		l, err := dial(ctx, s, address, config)
		if err != nil {
			return worker{}, nil, err
		}
		return worker{run: l.run, count: l.done.Load}, l.close, l.settle(ctx, int64(s.lanes*s.slots*s.phones))
	}
}
