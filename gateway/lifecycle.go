package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// stopTimeout bounds one stop hook; the whole stop is bounded by the caller's context.
const stopTimeout = 10 * time.Second

// lifecycle holds what must be undone, registered next to the setup that it undoes and run last in, first out.
type lifecycle struct {
	log      *slog.Logger
	failures sync.Map // *atomic.Uint64 by the name of what is done every so often

	mu    sync.Mutex
	hooks []hook
}

type hook struct {
	name string
	stop func(context.Context) error
}

func (l *lifecycle) onStop(name string, stop func(context.Context) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hooks = append(l.hooks, hook{name, stop})
}

// run starts a background loop and registers its end: its context is cancelled and it is waited for. A loop that ends by
// itself with an error is logged; it is for the loop to retry what can be retried.
func (l *lifecycle) run(name string, loop func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := loop(ctx); err != nil && ctx.Err() == nil {
			l.log.Error("background work ended", "name", name, "error", err)
		}
	}()
	l.onStop(name, func(stopping context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-stopping.Done():
			return errors.New("still running")
		}
	})
}

// every runs a step at once and then at each interval until the end; a failing step is logged, counted and tried again.
func (l *lifecycle) every(name string, interval time.Duration, step func(context.Context) error) {
	failed := l.failed(name)
	l.run(name, func(ctx context.Context) error {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			if err := step(ctx); err != nil && ctx.Err() == nil {
				failed.Add(1)
				l.log.Warn("background step failed, it is tried again", "name", name, "error", err, "in", interval)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	})
}

// failed returns what counts the failures of some regular work.
func (l *lifecycle) failed(name string) *atomic.Uint64 {
	n, _ := l.failures.LoadOrStore(name, new(atomic.Uint64))
	return n.(*atomic.Uint64)
}

// stop runs every hook, whatever the others say.
func (l *lifecycle) stop(ctx context.Context) error {
	l.mu.Lock()
	hooks := l.hooks
	l.hooks = nil
	l.mu.Unlock()
	var all []error
	for i := len(hooks) - 1; i >= 0; i-- {
		bounded, cancel := context.WithTimeout(ctx, stopTimeout)
		if err := hooks[i].stop(bounded); err != nil {
			all = append(all, fmt.Errorf("stopping %s: %w", hooks[i].name, err))
		}
		cancel()
	}
	return errors.Join(all...)
}
