package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"demarc/gateway"
	"demarc/internal/timeline"
	"demarc/provisioning"
	"demarc/telephony"
)

// book is a store that fails some times first.
type book struct {
	mu    sync.Mutex
	fails int
	texts []string
}

func (b *book) Remark(_ context.Context, remarks []provisioning.Remark) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails > 0 {
		b.fails--
		return errors.New("away")
	}
	for _, r := range remarks {
		b.texts = append(b.texts, r.AoR.User+": "+r.Entry.Text)
	}
	return nil
}

func TestNotesOutliveAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{fails: 3}
		n := gateway.NewNotes(b, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := n.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		n.Note(telephony.AoR{User: "1001"}, timeline.Entry{Text: "first"})
		time.Sleep(10 * time.Second)
		n.Note(telephony.AoR{User: "1002"}, timeline.Entry{Text: "last"})
		stop()
		running.Wait()
		if len(b.texts) != 2 || b.texts[0] != "1001: first" || b.texts[1] != "1002: last" {
			t.Errorf("written: %v", b.texts)
		}
	})
}

func TestNotesAreBounded(t *testing.T) {
	n := gateway.NewNotes(&book{}, slog.New(slog.DiscardHandler))
	for range 5000 {
		n.Note(telephony.AoR{}, timeline.Entry{})
	}
	if n.Dropped() != 5000-4096 {
		t.Errorf("%d dropped", n.Dropped())
	}
}
