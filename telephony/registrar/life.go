package registrar

import (
	"context"
	"fmt"
	"time"

	"demarc/telephony"
	"demarc/telephony/registration"
)

// Start loads the node's bindings, tells of those that ended or lost their connection with the last life, and begins to
// work. The context bounds the start only.
func (r *Registrar) Start(ctx context.Context) error {
	version, err := r.directory.Version(ctx)
	if err != nil {
		return fmt.Errorf("registrar: directory: %w", err)
	}
	if err := r.senders.Load(ctx); err != nil {
		return fmt.Errorf("registrar: domains: %w", err)
	}
	if err := r.load(ctx); err != nil {
		return fmt.Errorf("registrar: bindings: %w", err)
	}
	heads, err := r.join(ctx)
	if err != nil {
		return fmt.Errorf("registrar: bindings of other nodes: %w", err)
	}
	life, stop := context.WithCancel(context.Background())
	r.stop = stop
	if r.feed != nil {
		r.watcher.Go(func() { r.follow(life, heads) })
	}
	if r.feed != nil && r.leases != nil {
		r.watcher.Go(func() { r.watchLeases(life) })
	}
	for _, s := range r.shards {
		r.workers.Go(func() { s.run(life) })
	}
	r.watcher.Go(func() { r.watch(life, version) })
	return nil
}

// load takes the stored bindings into memory. A stream of an earlier life is gone with it.
func (r *Registrar) load(ctx context.Context) error {
	loaded, err := r.store.Load(ctx, r.node)
	if err != nil {
		return err
	}
	for _, b := range loaded {
		r.shard(b.AoR).add(b)
	}
	for _, s := range r.shards {
		if err := s.recount(ctx, s.now()); err != nil {
			return err
		}
	}
	return nil
}

// recount marks and tells of what the node's last life left behind, in saves of bounded size. Volatile bindings are over:
// how long they were refreshed is not known any more.
func (s *shard) recount(ctx context.Context, now time.Time) error {
	d := s.newDraft()
	for aor := range s.locations.All() {
		before := s.locations.Of(aor)
		bindings, changes := registration.Expire(before, s.r.node, s.r.present, now)
		if s.r.volatile {
			for _, b := range bindings {
				changes = append(changes, b.Change(telephony.BindingExpired, now))
			}
			bindings = nil
		}
		for i, b := range bindings {
			if b.OwnsStream() {
				bindings[i].Reachable = false
				changes = append(changes, stranded(&bindings[i], now))
			}
		}
		if len(changes) == 0 {
			continue
		}
		d.set(aor, before, bindings)
		d.changes = append(d.changes, changes...)
		if len(d.changes) >= maxBackground {
			if err := s.save(ctx, d); err != nil {
				return err
			}
			s.apply(d)
			d = s.newDraft()
		}
	}
	if err := s.save(ctx, d); err != nil {
		return err
	}
	s.apply(d)
	return nil
}

// Stop answers what waits, refuses what comes, and returns when nothing runs any more. Bindings stay in the store. When
// the context ends first, work in progress is cut off.
func (r *Registrar) Stop(ctx context.Context) error {
	if r.stop == nil {
		return nil
	}
	for _, s := range r.shards {
		s.queue.end()
	}
	done := make(chan struct{})
	go func() {
		r.workers.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("registrar: stopped before all requests were answered: %w", ctx.Err())
	}
	r.stop()
	<-done
	r.watcher.Wait()
	r.probers.Wait()
	return err
}

// watch drops cached credentials when the directory changes, and notices when the store is back.
func (r *Registrar) watch(ctx context.Context, version int64) {
	tick := time.NewTicker(r.tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		current := version
		err := r.safely(func() (err error) {
			bounded, cancel := context.WithTimeout(ctx, r.timeout)
			defer cancel()
			current, err = r.directory.Version(bounded)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.storeFailed("directory", err)
		default:
			r.storeBack()
			if current != version && r.reload(ctx) {
				version = current
			}
		}
	}
}

// reload forgets what the directory said before it changed. Until that is done, the old word counts.
func (r *Registrar) reload(ctx context.Context) bool {
	err := r.safely(func() error { return r.senders.Load(ctx) })
	if err != nil && ctx.Err() == nil {
		r.storeFailed("directory", err)
	}
	return err == nil
}
