package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/provisioning"
	"demarc/telephony"
)

// notes writes what happened in calls, and to what phones watch, into the timelines of their people, behind the calls.
type notes struct {
	store   remarker
	log     *slog.Logger
	queue   chan provisioning.Remark
	prefix  string // of the ids of this process's entries
	last    atomic.Uint64
	dropped atomic.Uint64
}

type remarker interface {
	Remark(ctx context.Context, remarks []provisioning.Remark) error
}

const (
	maxNotes  = 4096 // that wait for the store
	noteBatch = 100
	noteRetry = time.Second
)

func newNotes(store remarker, log *slog.Logger) *notes {
	return &notes{store: store, log: log, queue: make(chan provisioning.Remark, maxNotes), prefix: account.NewID("tl")}
}

// Note queues an entry. When the store has been away for too long it is dropped, and counted.
func (n *notes) Note(aor telephony.AoR, e timeline.Entry) {
	// The store may have written a batch and lost the connection before it said so.
	e.ID = fmt.Sprintf("%s%08x", n.prefix, n.last.Add(1))
	select {
	case n.queue <- provisioning.Remark{AoR: aor, Entry: e}:
	default:
		n.dropped.Add(1)
	}
}

// timelines are the notes for those that begin before them.
type timelines struct{ g *Gateway }

func (t timelines) Note(aor telephony.AoR, e timeline.Entry) {
	if n := t.g.telephony.notes; n != nil {
		n.Note(aor, e)
	}
}

// run writes until ctx ends, and then what is left if the store takes it.
func (n *notes) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return n.finish()
		case first := <-n.queue:
			batch := n.gather(first)
			for n.write(ctx, batch) != nil {
				select {
				case <-ctx.Done():
					return n.write(context.WithoutCancel(ctx), batch)
				case <-time.After(noteRetry):
				}
			}
		}
	}
}

// gather takes what waits besides the first.
func (n *notes) gather(first provisioning.Remark) []provisioning.Remark {
	batch := []provisioning.Remark{first}
	for len(batch) < noteBatch {
		select {
		case r := <-n.queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

func (n *notes) write(ctx context.Context, batch []provisioning.Remark) error {
	err := n.store.Remark(ctx, batch)
	if err != nil && ctx.Err() == nil {
		n.log.Warn("the timelines of calls cannot be written, and are tried again", "entries", len(batch), "error", err)
	}
	return err
}

// finish writes what waits at the end.
func (n *notes) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), noteRetry)
	defer cancel()
	for {
		select {
		case first := <-n.queue:
			if err := n.write(ctx, n.gather(first)); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}
