package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const syncUsers = 10_000

// sync measures the pull of everybody's credentials, by the roles connector and cloudlink in one process: its CPU is that
// of both sides. The first run brings everything, the second finds nothing changed.
func (b *bench) sync(ctx context.Context, rows *table) error {
	users := syncUsers
	if b.quick {
		users = 500
	}
	if err := b.syncOn(ctx, rows, "SQLite", "", nil, users); err != nil {
		return err
	}
	return b.withPostgres(ctx, func(database *postgres) error {
		url, err := database.create(ctx, "demarc")
		if err != nil {
			return err
		}
		return b.syncOn(ctx, rows, "PostgreSQL", url+"?sslmode=disable", database.process, users)
	})
}

func (b *bench) syncOn(ctx context.Context, rows *table, name, url string, database *process, users int) (err error) {
	d, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "connector, cloudlink, telephony", store: url, users: users})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	if err := b.provision(ctx, d, users); err != nil {
		return err
	}
	for _, run := range []string{"first sync", "sync without a change"} {
		c := contestant{server: d.process, database: database, connected: worker{count: func() int64 { return 0 }}}
		before, err := c.look()
		if err != nil {
			return err
		}
		if _, err := b.command(ctx, d, "sync"); err != nil {
			return err
		}
		after, err := c.look()
		if err != nil {
			return err
		}
		text := seconds(after.server - before.server)
		if database != nil {
			text += " + " + seconds(after.database-before.database) + " in PostgreSQL"
		}
		rows.line(fmt.Sprintf("%s of %d users, %s", run, users, name), seconds(after.at.Sub(before.at)), text)
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// withPostgres runs do with a scratch cluster.
func (b *bench) withPostgres(ctx context.Context, do func(*postgres) error) (err error) {
	p, err := startPostgres(ctx, b.scratch())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	return do(p)
}
