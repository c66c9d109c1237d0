package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// timing is how long a load runs before and while it is measured, and how often.
type timing struct {
	warm, window time.Duration
	rounds       int
	profiles     string // directory for CPU profiles of servers that give them; empty: none are taken
}

// worker is a load: run keeps the server busy until ctx ends, count tells how many operations were completed so far.
type worker struct {
	run   func(ctx context.Context) error
	count func() int64
}

// contestant is one server with its load.
type contestant struct {
	name      string
	server    *process
	database  *process // nil without one
	prepare   func(ctx context.Context) (worker, func() error, error)
	connected worker
}

// sample is one window.
type sample struct {
	server, database time.Duration // CPU per operation
	rate             float64       // operations per second
}

func (s sample) total() time.Duration { return s.server + s.database }

// compare runs the contestants in turn, A B A B …, so that what else the machine does meets all of them alike.
func compare(ctx context.Context, t timing, contestants ...contestant) (samples [][]sample, err error) {
	samples = make([][]sample, len(contestants))
	for i, c := range contestants {
		w, end, err := c.prepare(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		defer func() { err = errors.Join(err, end()) }()
		contestants[i].connected = w
	}
	for range t.rounds {
		for i, c := range contestants {
			s, err := c.measure(ctx, t)
			if err != nil {
				return nil, fmt.Errorf("%s: %w; its log ends with\n%s", c.name, err, c.server.log.tail())
			}
			samples[i] = append(samples[i], s)
		}
	}
	return samples, nil
}

func (c contestant) measure(ctx context.Context, t timing) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.connected.run(ctx) }()
	s, err := c.window(ctx, t, ended)
	cancel()
	if err != nil {
		return s, err
	}
	return s, <-ended
}

func (c contestant) window(ctx context.Context, t timing, ended chan error) (sample, error) {
	if err := pause(ctx, t.warm, ended); err != nil {
		return sample{}, err
	}
	before, err := c.look()
	if err != nil {
		return sample{}, err
	}
	if err := c.watch(ctx, t, ended); err != nil {
		return sample{}, err
	}
	after, err := c.look()
	if err != nil {
		return sample{}, err
	}
	n := after.operations - before.operations
	if n == 0 {
		return sample{}, errors.New("nothing was completed")
	}
	return sample{
		server: (after.server - before.server) / time.Duration(n), database: (after.database - before.database) / time.Duration(n),
		rate: float64(n) / after.at.Sub(before.at).Seconds(),
	}, nil
}

// watch lets a window pass, and takes a profile of it if one is wanted and to be had.
func (c contestant) watch(ctx context.Context, t timing, ended chan error) error {
	if t.profiles == "" || c.server.profile == nil {
		return pause(ctx, t.window, ended)
	}
	taken := make(chan error, 1)
	go func() { taken <- c.server.profile(ctx, t.window, t.profiles) }()
	err := pause(ctx, t.window, ended)
	return errors.Join(err, <-taken)
}

// look is a reading of all meters.
type look struct {
	at               time.Time
	operations       int64
	server, database time.Duration
}

func (c contestant) look() (look, error) {
	l := look{at: time.Now(), operations: c.connected.count()}
	var err error
	if l.server, err = c.server.used(); err == nil && c.database != nil {
		l.database, err = c.database.used()
	}
	return l, err
}

func pause(ctx context.Context, d time.Duration, ended chan error) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-ended:
		if err == nil {
			err = errors.New("the load ended by itself")
		}
		return err
	}
}

// spread is what stays of several rounds.
type spread struct{ min, median, max float64 }

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	middle := v[len(v)/2]
	if len(v)%2 == 0 {
		middle = (middle + v[len(v)/2-1]) / 2
	}
	return spread{v[0], middle, v[len(v)-1]}
}

// per applies f to every sample.
func per(samples []sample, f func(sample) float64) spread {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = f(s)
	}
	return spreadOf(values)
}

// ratio divides round by round: neighbours met the same machine.
func ratio(a, b []sample) spread {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = float64(a[i].total()) / float64(b[i].total())
	}
	return spreadOf(values)
}
