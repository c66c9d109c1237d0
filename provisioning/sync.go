package provisioning

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/timeline"
)

const (
	pageSize      = 50 // users in one transaction
	fetchers      = 8  // credential requests at the same time
	syncLeaseLife = 30 * time.Second
	maxListed     = 200_000 // users; a service whose pages never end must not fill the memory
	maxPages      = 10_000  // likewise, with empty ones
)

// SyncOption changes one run of the sync.
type SyncOption func(*syncRules)

type syncRules struct{ allowLoss bool }

// AllowLoss lets a run take the credential from more users than the brake allows: an admin has looked at it.
func AllowLoss() SyncOption { return func(r *syncRules) { r.allowLoss = true } }

// Sync pulls every integrated user's endpoints and credentials from the services. Who is known to several is at the first of them. The
// listings are read whole first. While a service is away the run goes on with the others, leaves as they are whoever may be at that one, and
// ends with an error that names it. Then users are applied page by page. A run that is interrupted leaves whole pages behind, and the next one starts
// over: what is unchanged is not fetched again. One run at a time per account, ErrBusy otherwise; ErrMassLoss when
// the brake held.
//
// The run is returned also with an error, and its Error says the same in the words of the portal.
func (s *Service) Sync(ctx context.Context, acc account.ID, services []Source, opts ...SyncOption) (SyncRun, error) {
	var rules syncRules
	for _, o := range opts {
		o(&rules)
	}
	run := SyncRun{Account: acc, ID: account.NewID("run"), StartedAt: s.Now()}
	lease, err := s.Store.BeginSync(ctx, run, syncLeaseLife)
	if err != nil {
		return SyncRun{}, err
	}
	y := &syncing{Service: s, services: services, lease: lease, run: run}
	err = s.keepLease(ctx, lease, func(ctx context.Context) error { return y.all(ctx, rules) })
	y.run.EndedAt = s.Now()
	if err != nil {
		y.run.Error = err.Error()
	}
	// Also when ctx has ended: the run must not look as if it were still going on.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return y.run, errors.Join(err, s.Store.EndSync(ending, lease, y.run))
}

// SyncRuns returns the latest runs, newest first.
func (s *Service) SyncRuns(ctx context.Context, acc account.ID, limit int) ([]SyncRun, error) {
	return s.Store.SyncRuns(ctx, acc, bounded(limit, 20, 200))
}

// keepLease renews the lease while work goes on, and stops the work when the lease is lost.
func (s *Service) keepLease(ctx context.Context, l SyncLease, work func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(syncLeaseLife / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := s.Store.RenewSync(ctx, l, syncLeaseLife); errors.Is(err, ErrStale) {
					stop(err)
				}
			}
		}
	}()
	err := work(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-done
	return err
}

// syncing is one run under way.
type syncing struct {
	*Service
	services []Source
	lease    SyncLease
	run      SyncRun

	mu   sync.Mutex
	away map[int]error // services that failed, and the first reason of each
}

// fails notes that a service is away: it is not asked again in this run.
func (y *syncing) fails(service int, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.away == nil {
		y.away = make(map[int]error)
	}
	if y.away[service] == nil {
		y.away[service] = fmt.Errorf("%s: %w", y.services[service].Name(), err)
	}
}

func (y *syncing) isAway(service int) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.away[service] != nil
}

// failures tells of all services that are away.
func (y *syncing) failures() error {
	y.mu.Lock()
	defer y.mu.Unlock()
	var all []error
	for i := range y.services {
		all = append(all, y.away[i])
	}
	return errors.Join(all...)
}

func (y *syncing) all(ctx context.Context, rules syncRules) error {
	plan, err := y.plan(ctx)
	if err != nil {
		return err
	}
	return errors.Join(y.apply(ctx, plan, rules), y.failures())
}

func (y *syncing) apply(ctx context.Context, plan Plan, rules syncRules) error {
	if plan.Brake() && !rules.allowLoss {
		return fmt.Errorf("%w: %d of %d. Nothing was changed. Look at the PBX side; if it is meant, start the sync again "+
			"and allow the loss", ErrMassLoss, plan.Losing, plan.Having)
	}
	for page := range slices.Chunk(plan.Users, pageSize) {
		if err := y.page(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// plan reads everything and compares. Before anybody loses a credential the listing is read twice, because a user may
// slip from one page to another while it is read.
func (y *syncing) plan(ctx context.Context) (Plan, error) {
	users, err := y.Store.Snapshot(ctx, y.run.Account)
	if err != nil {
		return Plan{}, err
	}
	listings := make([]Listing, len(y.services))
	for i, src := range y.services {
		pbxs, err := src.PBXs(ctx)
		if err != nil {
			err = fmt.Errorf("the service's PBXs cannot be read: %w", err)
		} else if listings[i].Users, err = listing(ctx, src); err == nil {
			listings[i].PBXs = pbxs
			continue
		}
		y.fails(i, err)
		listings[i] = Listing{Away: true}
	}
	plan := NewPlan(users, listings...)
	if plan.Losing == 0 {
		return plan, ctx.Err()
	}
	for i, src := range y.services {
		if listings[i].Away {
			continue
		}
		again, err := listing(ctx, src)
		if err != nil {
			y.fails(i, err)
			listings[i] = Listing{Away: true}
			continue
		}
		listings[i].Users = append(again, listings[i].Users...) // of a repeated user the first, newer, one counts
	}
	return NewPlan(users, listings...), ctx.Err()
}

func listing(ctx context.Context, src Source) ([]cloudlink.UserWithEndpoints, error) {
	var listing []cloudlink.UserWithEndpoints
	next, been := "", map[string]bool{}
	for len(been) < maxPages && len(listing) <= maxListed {
		if been[next] {
			return nil, errors.New("the service's user list goes in a circle: its pages lead back to one that was read before")
		}
		been[next] = true
		users, after, err := src.Users(ctx, next)
		if err != nil {
			return nil, fmt.Errorf("the service's users cannot be listed: %w", err)
		}
		listing = append(listing, users...)
		if after == "" {
			return listing, nil
		}
		next = after
	}
	return nil, fmt.Errorf("the service's user list does not end after %d pages with %d users", len(been), len(listing))
}

// page fetches the credentials of some users and applies everything of them in one transaction. When the service fails
// on the way, those who have their answers are applied still.
func (y *syncing) page(ctx context.Context, users []UserPlan) error {
	answers := y.fetch(ctx, users)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	users = slices.DeleteFunc(slices.Clone(users), func(u UserPlan) bool {
		return slices.ContainsFunc(u.Fetch, func(f Fetch) bool { return answers[f.key()] == answer{} })
	})
	plans := make(map[UserID]UserPlan, len(users))
	ids := make([]UserID, len(users))
	for i, u := range users {
		plans[u.User], ids[i] = u, u.User
	}
	var after SyncRun
	err := y.Store.ApplyPage(ctx, y.lease, ids, func(records []*Record) SyncRun {
		after = y.run // the rule may run again
		for _, r := range records {
			after.count(r, applyUser(r, plans[r.User.ID], answers, y.Now()))
		}
		return after
	})
	if err != nil {
		return err
	}
	y.run = after
	return nil
}

func (run *SyncRun) count(r *Record, failed int) {
	run.Looked++
	run.Failed += failed
	c := r.changes
	if len(c.Credentials)+len(c.Lost)+len(c.Entries) > 0 || c.Gaps {
		run.Changed++
	}
	if len(r.Credentials) == 0 {
		run.Pending++
	}
}

// applyUser puts the plan and what was fetched on a record, and returns how many credentials could not be had.
func applyUser(r *Record, u UserPlan, answers map[string]answer, now time.Time) (failed int) {
	if u.Warning != "" && r.User.CloudLinkUser != u.CloudLinkUser {
		r.tell(now, timeline.Warning, bySync, "", 0, u.Warning)
	}
	r.User.CloudLinkUser, r.User.LastSync = u.CloudLinkUser, now
	r.User.Name = first(r.User.Name, clip(u.Name, 80)) // short enough for the mark of a page, too
	r.User.Extension = first(r.User.GivenExtension, clip(u.Extension, 64), r.User.Extension)
	gaps := slices.Clone(u.Gaps)
	for _, f := range u.Fetch {
		c, gap := answers[f.key()].judge(f)
		if gap.Cause != "" {
			gaps = append(gaps, gap)
			failed++
			continue
		}
		if r.setCredential(c, now) {
			for _, w := range realmWarnings(c, f.PBX) {
				r.tell(now, timeline.Warning, bySync, "", 0, w)
			}
		}
	}
	for _, c := range slices.Clone(r.Credentials) {
		if u.loses(c.Kind) {
			gap, _ := (&Record{Gaps: u.Gaps}).Gap(c.Kind)
			r.lose(c.Kind, gap.Text, now)
		}
	}
	r.setGaps(gaps, now)
	return failed
}
