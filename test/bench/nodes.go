package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// seen measures how long after the 200 to a phone's REGISTER another node on the same PostgreSQL knows of it: the other
// node is asked again and again, by a second phone of the same user, for all there is. An answer takes two round trips and
// a commit, which stand in the figure.
func (b *bench) seen(ctx context.Context, rows *table) error {
	phones := 300
	if b.quick {
		phones = 20
	}
	return b.withPostgres(ctx, func(database *postgres) (err error) {
		url, err := database.create(ctx, "demarc")
		if err != nil {
			return err
		}
		s := setting{roles: "telephony", store: url + "?sslmode=disable", users: phones, node: "node-a"}
		first, err := startDemarc(ctx, b.program, b.scratch(), s)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, first.stop()) }()
		s.node, s.like = "node-b", first
		second, err := startDemarc(ctx, b.program, b.scratch(), s)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, second.stop()) }()
		var after []time.Duration
		for n := range phones {
			took, err := seenAfter(ctx, n, first, second)
			if err != nil {
				return err
			}
			after = append(after, took)
		}
		slices.Sort(after)
		rows.line(fmt.Sprintf("a registration is seen by another node after (%d of them; the aim is 100 ms)", phones),
			fmt.Sprintf("median %s, 99 %% within %s, most %s", millis(after[phones/2]), millis(after[phones*99/100]),
				millis(after[phones-1])), "–")
		return nil
	})
}

// seenAfter registers a phone of a user at one node while another phone of the same user asks the other.
func seenAfter(ctx context.Context, number int, there, here *demarc) (took time.Duration, err error) {
	config, err := here.clientTLS() // the authority is the same
	if err != nil {
		return 0, err
	}
	one := shape{transport: "TLS", lanes: 1, slots: 1, phones: 1, first: number}
	asking, err := dial(ctx, one, here.tls, config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, asking.close()) }()
	registering, err := dial(ctx, one, there.tls, config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, registering.close()) }()
	if _, err := asking.lanes[0].register(); err != nil {
		return 0, err
	}
	if _, err := registering.lanes[0].register(); err != nil {
		return 0, err
	}
	began, contact := time.Now(), []byte(registering.lanes[0].local)
	for ctx.Err() == nil {
		answer, err := asking.lanes[0].register()
		if err != nil {
			return 0, err
		}
		if bytes.Contains(answer, contact) {
			return time.Since(began), nil
		}
		if time.Since(began) > readPatience {
			return 0, fmt.Errorf("a registration at one node was not seen by the other within %v", readPatience)
		}
	}
	return 0, ctx.Err()
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

// join gives a node the keyset and the authority of another one.
func (d *demarc) join(other *demarc) error {
	keyset, err := os.ReadFile(filepath.Join(other.dir, "keyset.json"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(d.dir, "keyset.json"), keyset, 0o600),
		os.CopyFS(filepath.Join(d.dir, "pki"), os.DirFS(filepath.Join(other.dir, "pki"))))
}
