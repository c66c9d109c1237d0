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
// same for one binding as for many. Under load it waits between saves for the same reason, for as long as more is to be expected.
type committer struct {
	store  Bindings
	safely func(func() error) error // makes an error of a panic
	saving chan struct{}            // of capacity one; held by the shard that saves
	began  atomic.Int64             // when the last save of many began, in nanoseconds since epoch; 0: it was one of few
	epoch  time.Time

	arrived  atomic.Int64  // requests that no shard has taken yet
	inHand   atomic.Int64  // requests that have no answer yet
	expected atomic.Int64  // how many had no answer when the last save was over
	complete chan struct{} // of capacity one: so many have

	coming   awaited // shards that have requests and do not gather for them yet
	deciding awaited // shards that have gathered and have not submitted yet

	mu        sync.Mutex
	gathering int           // shards; the first waits on behalf of all
	gathered  chan struct{} // closed when that is over
	waiting   []*submission
}

const (
	pace  = 5 * time.Millisecond   // at most, between two saves of many; a phone does not notice it
	many  = 8                      // bindings of one save, from which on the next is worth a wait
	grace = 750 * time.Microsecond // for other shards that are about to gather, or to submit
)

// submission is one shard's batch on its way. done is told once.
type submission struct {
	batch Batch
	done  chan error
}

func newCommitter(store Bindings, safely func(func() error) error) *committer {
	return &committer{
		store: store, safely: safely, saving: make(chan struct{}, 1), epoch: time.Now(), complete: make(chan struct{}, 1),
		coming: newAwaited(), deciding: newAwaited(), gathered: make(chan struct{}),
	}
}

// arrives counts a request that waits for a shard.
func (c *committer) arrives() {
	c.inHand.Add(1)
	if c.arrived.Add(1) == c.expected.Load() {
		signal(c.complete)
	}
}

// taken counts requests that a shard has taken.
func (c *committer) taken(n int) { c.arrived.Add(-int64(n)) }

// answered counts a request that is about to be answered.
func (c *committer) answered() { c.inHand.Add(-1) }

// expect counts after a save who may come together for the next.
func (c *committer) expect() {
	c.expected.Store(c.inHand.Load())
	signal(c.complete) // they may all have come already
}

// gather waits until it is time to decide for the next save; what arrives meanwhile has a place in it. Shards that gather at the
// same time go on at the same time, with those that have been woken by then. Each has to leave then.
func (c *committer) gather(ctx context.Context) {
	c.mu.Lock()
	c.gathering++
	first, gathered := c.gathering == 1, c.gathered
	c.mu.Unlock()
	if !first {
		<-gathered
		return
	}
	c.rest(ctx)
	c.pause(ctx)
	c.coming.wait(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deciding.add(c.gathering)
	c.gathering = 0
	close(gathered)
	c.gathered = make(chan struct{})
}

// rest waits until nobody saves: who decides sooner would wait then, and leave out what arrives meanwhile.
func (c *committer) rest(ctx context.Context) {
	select {
	case c.saving <- struct{}{}:
		<-c.saving
	case <-ctx.Done():
	}
}

// pause waits until as many requests have come as had no answer when the last save was over, or for pace from its begin, if it was one
// of many. Where phones register as soon as they are answered, those are all of them, and nobody else will come; where requests come from
// ever others it is more with each save, until pace is what ends the waiting.
func (c *committer) pause(ctx context.Context) {
	began := c.began.Load()
	if began == 0 {
		return
	}
	left := pace - (time.Since(c.epoch) - time.Duration(began))
	if left <= 0 {
		return
	}
	t := time.NewTimer(left)
	defer t.Stop()
	for c.arrived.Load() < c.expected.Load() {
		select {
		case <-c.complete:
		case <-t.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// leave is called by a shard that has gathered, once it has submitted or has nothing to.
func (c *committer) leave() { c.deciding.done() }

// save returns when the batch is committed, or nothing of it is. It calls submitted as soon as it goes into the next save.
func (c *committer) save(ctx context.Context, batch Batch, submitted func()) error {
	s := &submission{batch: batch, done: make(chan error, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, s)
	c.mu.Unlock()
	submitted()
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
	c.deciding.wait(ctx)
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
	c.expect()
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
	if b.size() < many {
		c.began.Store(0)
		return
	}
	c.began.Store(int64(time.Since(c.epoch)))
}

// size is how many bindings the batch is about.
func (b *Batch) size() int { return len(b.Put) + len(b.Prolong) + len(b.Remove) }

// signal tells who waits, if nobody has told yet.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// awaited counts shards that the others give a moment.
type awaited struct {
	left atomic.Int64
	none chan struct{} // of capacity one: none is left
}

func newAwaited() awaited { return awaited{none: make(chan struct{}, 1)} }

func (a *awaited) add(n int) { a.left.Add(int64(n)) }

func (a *awaited) done() {
	if a.left.Add(-1) <= 0 {
		signal(a.none)
	}
}

// wait waits until none is left, for grace at most.
func (a *awaited) wait(ctx context.Context) {
	if a.left.Load() <= 0 {
		return
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	for a.left.Load() > 0 {
		select {
		case <-a.none:
		case <-t.C:
			return
		case <-ctx.Done():
			return
		}
	}
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
