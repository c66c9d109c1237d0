package provisioning

import (
	"context"
	"fmt"
	"time"

	"demarc/internal/account"
	"demarc/internal/timeline"
)

// Statuses returns one page of users by name.
func (s *Service) Statuses(ctx context.Context, acc account.ID, f StatusFilter) (StatusPage, error) {
	f.Limit = bounded(f.Limit, 100, 500)
	for _, state := range f.States {
		if state.rank() < 0 {
			return StatusPage{}, fmt.Errorf("%w: unknown state %q: use pending, inactive, registered or sip_error", ErrInvalid,
				clip(string(state), 40))
		}
	}
	records, next, counts, err := s.Store.List(ctx, acc, f)
	if err != nil {
		return StatusPage{}, err
	}
	page := StatusPage{Users: make([]Status, len(records)), Next: next, Counts: map[SyncState]int{}}
	for _, state := range States() {
		page.Counts[state] = counts[state]
	}
	for i := range records {
		page.Users[i] = records[i].Status(s.Now())
	}
	return page, nil
}

// Status returns one user.
func (s *Service) Status(ctx context.Context, acc account.ID, id UserID) (Status, error) {
	r, err := s.Store.Record(ctx, acc, id)
	if err != nil {
		return Status{}, err
	}
	return r.Status(s.Now()), nil
}

// Timeline returns what happened to a user, newest first.
func (s *Service) Timeline(ctx context.Context, acc account.ID, id UserID, limit int) ([]timeline.Entry, error) {
	return s.Store.Timeline(ctx, acc, id, bounded(limit, 100, 1000))
}

// Status returns what support staff see of the record.
func (r *Record) Status(now time.Time) Status {
	r.Settle()
	st := Status{User: r.User, State: r.State, Changed: r.ChangedAt, Devices: r.Devices}
	d := r.decider()
	if d != nil {
		st.Device = d.Name
	}
	switch {
	case r.State == Pending:
		st.Text = r.pendingText(d, now)
	case d == nil:
		st.Text = "Never registered: no softphone has been enrolled yet. It is the turn of " + turnDemarcAdmin +
			": give the user an enrolment code."
	case r.State == Inactive:
		st.Text = d.inactiveText(now)
	case r.State == Registered:
		st.Text = "Registered " + since(d.ChangedAt, now) + "."
	case r.State == SIPError:
		st.SIPCode, st.Text = d.SIPCode, d.SIPText
	}
	return st
}

// pendingText says why, whose turn it is, and for how long.
func (r *Record) pendingText(d *Device, now time.Time) string {
	gap, ok := Gap{}, false
	if d != nil {
		gap, ok = r.Gap(d.Kind)
	}
	if !ok && len(r.Gaps) > 0 {
		gap, ok = r.Gaps[0], true
	}
	if !ok {
		return "Waiting for the next sync. It is the turn of " + turnDemarc + "."
	}
	return fmt.Sprintf("%s It is the turn of %s, %s.", gap.Text, gap.Cause.Turn(), since(gap.Since, now))
}

func (d *Device) inactiveText(now time.Time) string {
	if d.LastRegistered.IsZero() {
		return "Never registered: the softphone has its SIP credential but did not register yet."
	}
	because := first(d.SIPText, "its registration ended")
	if because == TextAsleep {
		return fmt.Sprintf("Asleep %s: a push wakes it.", since(d.ChangedAt, now))
	}
	return fmt.Sprintf("Not registered %s, because %s.", since(d.ChangedAt, now), because)
}

// since writes a moment for people: when, and how long ago.
func since(t, now time.Time) string {
	return "since " + t.UTC().Format("2006-01-02 15:04 UTC") + " (" + span(now.Sub(t)) + ")"
}

func span(d time.Duration) string {
	unit := func(n int, name string) string {
		if n != 1 {
			name += "s"
		}
		return fmt.Sprintf("%d %s", n, name)
	}
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d < time.Hour:
		return unit(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return unit(int(d/time.Hour), "hour")
	}
	return unit(int(d/(24*time.Hour)), "day")
}
