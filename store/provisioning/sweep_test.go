package provisioning_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/internal/timeline"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/store/storetest"
)

// fill writes timeline entries of a user, a second apart, and returns the newest text.
func (b *bench) fill(user rules.UserID, n int) string {
	b.Helper()
	text := ""
	b.must(b.db.Write(b.Context(), func(tx store.Tx) error {
		for i := range n {
			text = fmt.Sprintf("entry %d of %s", i, user)
			if err := store.WriteTimeline(b.Context(), tx, timeline.Entry{
				Account: b.actor.Account, User: string(user), At: b.now().Add(time.Duration(i) * time.Second),
				Kind: timeline.Warning, Text: text,
			}); err != nil {
				return err
			}
		}
		return nil
	}))
	return text
}

func (b *bench) rows(table string) (n int) {
	b.Helper()
	b.must(b.db.Read(b.Context(), func(q store.Tx) error {
		return q.QueryRow(b.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n)
	}))
	return n
}

func TestSweep(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(3)
		busy, gone := b.status("user0@").User.ID, b.status("user1@").User.ID
		newest := b.fill(busy, 1200)
		b.fill(gone, 3)
		b.must(b.svc.RemoveUser(t.Context(), b.actor, gone))
		for range 3 {
			_, err := b.svc.IssueCode(t.Context(), b.actor, busy, cloudlink.Desktop)
			b.must(err)
		}
		b.must(db.Write(t.Context(), func(tx store.Tx) error {
			for i := range 203 {
				if _, err := tx.Exec(t.Context(), `INSERT INTO sync_run
					(account_id, run_id, started_at, ended_at, looked, changed, pending, failed, error)
					VALUES ($1, $2, $3, $3, 0, 0, 0, 0, '')`, string(b.actor.Account), fmt.Sprint("run_", i), int64(i)); err != nil {
					return err
				}
			}
			return nil
		}))
		b.must(b.svc.Sweep(t.Context()))
		entries, err := b.svc.Timeline(t.Context(), b.actor.Account, busy, 1000)
		b.must(err)
		if len(entries) != 500 || entries[0].Text != newest {
			t.Errorf("%d entries, the newest is %q, want 500 up to %q", len(entries), entries[0].Text, newest)
		}
		if n := b.rows("sync_run"); n != 200 {
			t.Errorf("%d sync runs", n)
		}
		if n := b.rows("ticket"); n != 3 {
			t.Errorf("%d tickets, want those that are good", n)
		}
		of := func(id rules.UserID) string { return "timeline WHERE user_id = '" + string(id) + "'" }
		if b.rows(of(gone)) == 0 {
			t.Error("the timeline of a removed user went at once")
		}

		b.sleep(366 * 24 * time.Hour)
		b.must(b.svc.Sweep(t.Context()))
		if n := b.rows(of(gone)); n != 0 {
			t.Errorf("%d entries of a user who was removed a year ago", n)
		}
		if n := b.rows(of(busy)); n != 500 {
			t.Errorf("%d entries of a user who is there", n)
		}
		if n := b.rows("ticket"); n != 0 {
			t.Errorf("%d tickets a year later", n)
		}
		if n := b.rows("sync_run"); n != 200 {
			t.Errorf("%d sync runs a year later", n)
		}
		if _, err := b.svc.Status(t.Context(), b.actor.Account, gone); !errors.Is(err, rules.ErrNotFound) {
			t.Error(err)
		}
	})
}

// A member may make codes for themselves: not any number of them, nor of devices.
func TestCodesAndDevicesOfOneUserAreBounded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(2)
		b.sync()
		user := b.status("user0@").User.ID
		for n := range 50 {
			code, err := b.svc.IssueCode(t.Context(), b.actor, user, cloudlink.Desktop)
			b.must(err)
			if _, err := b.svc.Enrol(t.Context(), code.Code, "Laptop"); err != nil {
				t.Fatalf("device %d: %v", n, err)
			}
		}
		code, err := b.svc.IssueCode(t.Context(), b.actor, user, cloudlink.Desktop)
		b.must(err)
		if _, err := b.svc.Enrol(t.Context(), code.Code, "Laptop"); !errors.Is(err, rules.ErrConflict) {
			t.Fatalf("device 51: %v", err)
		}
		b.must(b.svc.Revoke(t.Context(), b.actor, b.status("user0@").Devices[0].ID))
		if _, err := b.svc.Enrol(t.Context(), code.Code, "Laptop"); err != nil {
			t.Fatalf("in the place of a revoked one, with the same code: %v", err)
		}
		for n := range 100 {
			if _, err := b.svc.IssueCode(t.Context(), b.actor, user, cloudlink.Desktop); err != nil {
				t.Fatalf("code %d: %v", n, err)
			}
		}
		if _, err := b.svc.IssueCode(t.Context(), b.actor, user, cloudlink.Desktop); !errors.Is(err, rules.ErrConflict) {
			t.Fatalf("code 101: %v", err)
		}
		b.enrol("user1@", cloudlink.Desktop) // others are not held up
		b.sleep(9 * 24 * time.Hour)
		if _, err := b.svc.IssueCode(t.Context(), b.actor, user, cloudlink.Desktop); err != nil {
			t.Fatalf("when the old ones are over: %v", err)
		}
	})
}
