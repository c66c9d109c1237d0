package registrar

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// committer saves for all shards. What arrives during a save goes into the next one together: a commit costs much the
// same for one binding as for many. Under load it leaves time between saves for the same reason.
type committer struct {
	store  Bindings
	safely func(func() error) error // makes an error of a panic
	saving chan struct{}            // of capacity one; held by the shard that saves
	began  atomic.Int64             // when the last save of many began, in nanoseconds since epoch; 0: it was one of few
	epoch  time.Time

	mu      sync.Mutex
	waiting []*submission
}

const (
	pace     = 3 * time.Millisecond // between two saves of many; a phone does not notice it
	many     = 8                    // bindings of one save, from which on the next is worth a wait
	deciding = pace / 4             // what a shard needs for what it has gathered
)

// submission is one shard's batch on its way. done is told once.
type submission struct {
	batch Batch
	done  chan error
}

func newCommitter(store Bindings, safely func(func() error) error) *committer {
	return &committer{store: store, safely: safely, saving: make(chan struct{}, 1), epoch: time.Now()}
}

// gather waits until it is time to decide for the next save; what arrives meanwhile has a place in it.
func (c *committer) gather(ctx context.Context) { c.rest(ctx, pace-deciding) }

// rest waits until d after the begin of the last save, if that one was of many.
func (c *committer) rest(ctx context.Context, d time.Duration) {
	began := c.began.Load()
	if began == 0 {
		return
	}
	left := d - (time.Since(c.epoch) - time.Duration(began))
	if left <= 0 {
		return
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// save returns when the batch is committed, or nothing of it is.
func (c *committer) save(ctx context.Context, batch Batch) error {
	s := &submission{batch: batch, done: make(chan error, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, s)
	c.mu.Unlock()
	select {
	case err := <-s.done:
		return err
	case c.saving <- struct{}{}: // nobody saves now: it is on us, for everybody who waits
		c.saveAll(ctx)
		<-c.saving
	case <-ctx.Done():
		if c.withdraw(s) {
			return ctx.Err()
		}
	}
	return <-s.done
}

// withdraw reports whether nobody has begun to save the batch.
func (c *committer) withdraw(s *submission) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.waiting, s)
	if i < 0 {
		return false
	}
	c.waiting = slices.Delete(c.waiting, i, i+1)
	return true
}

// saveAll saves what waits as one batch. When something in it cannot be stored, each shard's is tried alone.
func (c *committer) saveAll(ctx context.Context) {
	c.rest(ctx, pace)
	c.mu.Lock()
	all := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	if len(all) == 0 { // the save before took ours along
		return
	}
	whole := merge(all)
	c.note(whole)
	err := c.commit(ctx, whole)
	apart := len(all) > 1 && err != nil && !errors.Is(err, ErrStoreAway) && ctx.Err() == nil
	for _, s := range all {
		if apart {
			err = c.commit(ctx, s.batch)
		}
		s.done <- err
	}
}

// commit saves; a panic in the store counts as what cannot be stored, so that it costs what caused it alone.
func (c *committer) commit(ctx context.Context, b Batch) error {
	return c.safely(func() error { return c.store.Save(ctx, b) })
}

var errFault = errors.New("a fault of the program")

// note remembers when a save of many began.
func (c *committer) note(b Batch) {
	if len(b.Put)+len(b.Prolong)+len(b.Remove) < many {
		c.began.Store(0)
		return
	}
	c.began.Store(int64(time.Since(c.epoch)))
}

// merge puts batches together. An AoR belongs to one shard, so that no key stands twice.
func merge(all []*submission) Batch {
	whole := all[0].batch
	if len(all) == 1 {
		return whole
	}
	whole.Put, whole.Prolong = slices.Clip(whole.Put), slices.Clip(whole.Prolong)
	whole.Remove, whole.Changes = slices.Clip(whole.Remove), slices.Clip(whole.Changes)
	for _, s := range all[1:] {
		whole.Put = append(whole.Put, s.batch.Put...)
		whole.Prolong = append(whole.Prolong, s.batch.Prolong...)
		whole.Remove = append(whole.Remove, s.batch.Remove...)
		whole.Changes = append(whole.Changes, s.batch.Changes...)
	}
	return whole
}
