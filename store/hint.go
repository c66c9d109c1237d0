package store

import (
	"context"
	"sync"
	"time"
)

// Hint wakes those who wait for news on the same database, also in other processes: on PostgreSQL by LISTEN and NOTIFY.
// It carries nothing and may be lost; whoever waits looks again after a while by himself. On SQLite there is one process,
// which needs no hint.
type Hint struct {
	db      *DB
	channel string
	gather  time.Duration
	wake    chan struct{}
}

const (
	hintGather = 10 * time.Millisecond // hints within it are one
	hintRetry  = time.Second           // after a lost connection
)

// NewHint returns a hint; channel is an SQL identifier in lower case.
func NewHint(db *DB, channel string) *Hint {
	return &Hint{db: db, channel: channel, gather: hintGather, wake: make(chan struct{}, 1)}
}

// Wake asks for a hint to be sent. It never blocks.
func (h *Hint) Wake() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run sends and receives hints until the context ends; woken is called for each that arrives, its own too.
func (h *Hint) Run(ctx context.Context, woken func()) {
	var running sync.WaitGroup
	defer running.Wait()
	if h.db.dialect == PostgreSQL {
		running.Go(func() { h.listen(ctx, woken) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		}
		if h.db.dialect != PostgreSQL {
			continue
		}
		_, _ = h.db.pool.Exec(ctx, "SELECT pg_notify($1, '')", h.channel) // lost: the others look by themselves
		select {
		case <-ctx.Done():
			return
		case <-time.After(h.gather):
		}
	}
}

// listen holds one connection of the pool, and takes another when it is lost.
func (h *Hint) listen(ctx context.Context, woken func()) {
	for ctx.Err() == nil {
		_ = h.listenOnce(ctx, woken)
		select {
		case <-ctx.Done():
		case <-time.After(hintRetry):
		}
	}
}

func (h *Hint) listenOnce(ctx context.Context, woken func()) error {
	pooled, err := h.db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	conn := pooled.Hijack() // a listening connection must not go back to those who do not listen
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bounded)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+h.channel); err != nil {
		return err
	}
	woken() // for what came before
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
		woken()
	}
}
