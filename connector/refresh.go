package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"demarc/internal/account"
)

// A refresh whose answer was lost, or whose process died before it was saved, has used its token up; the service gives
// the same pair again for 30 s, and then takes the old token for stolen. So whoever comes next must have its turn well
// within that time: the limits add up to less.
const (
	askDeadline     = 7 * time.Second  // for the service's answer
	refreshDeadline = 10 * time.Second // for asking and saving
	leaseLife       = 12 * time.Second // longer than a refresh may take
	leaseWait       = 15 * time.Second // longer than a lease whose holder has died
	leasePoll       = 50 * time.Millisecond
	persistPause    = time.Second      // at most, between tries to save
	expiryLeeway    = 10 * time.Second // a token this near its end may be dead on arrival
)

// refreshAt is 80 % of a token's life, or 5 minutes before its end when that is earlier, but never in the first half.
func refreshAt(issued, expires time.Time) time.Time {
	life := max(expires.Sub(issued), 0)
	return expires.Add(-max(life/5, min(5*time.Minute, life/2)))
}

// retryAfter is the wait after n failures in a row. The first tries fall within the 30 s in which a service gives the
// same new pair again to a repeated refresh.
func retryAfter(failures int) time.Duration {
	return min(5*time.Second<<min(failures, 10), 10*time.Minute)
}

// Token returns a working access token, and refreshes first when it is about to expire. Grants are tried newest first:
// when one has ended, another admin's takes over. ErrReauthorize: all have ended. ErrUnreachable: try again later.
func (s *Service) Token(ctx context.Context, acc account.ID, id ID) (account.Secret, error) {
	c, _, err := s.Store.Connector(ctx, acc, id)
	if err != nil {
		return "", err
	}
	grants, err := s.Store.Working(ctx, acc, id)
	if err != nil {
		return "", err
	}
	for _, h := range grants {
		h, err = s.fresh(ctx, c, h)
		if err == nil {
			return h.Tokens.Access, nil
		}
		if !errors.Is(err, ErrReauthorize) {
			return "", err
		}
	}
	return "", fmt.Errorf("connector %q: %w", c.Name, ErrReauthorize)
}

// Renew is Token for a caller whose token the service has refused before its time: the grant may have been revoked there,
// or only the token have ended. The grant is refreshed at once, which tells the two apart.
func (s *Service) Renew(ctx context.Context, acc account.ID, id ID, refused account.Secret) (account.Secret, error) {
	c, _, err := s.Store.Connector(ctx, acc, id)
	if err != nil {
		return "", err
	}
	grants, err := s.Store.Working(ctx, acc, id)
	if err != nil {
		return "", err
	}
	for _, h := range grants {
		if !h.Tokens.Access.Equal(refused) {
			continue
		}
		if _, err := s.refresh(ctx, c, h.Key(), refused); err != nil && !errors.Is(err, ErrReauthorize) {
			return "", err
		}
	}
	return s.Token(ctx, acc, id)
}

// RefreshDue refreshes every grant that is about to expire, standby grants too. The gateway calls it on a ticker. Its
// error tells of every grant that could not be refreshed; each is tried again by itself.
func (s *Service) RefreshDue(ctx context.Context) error {
	due, err := s.Store.Due(ctx, s.Now(), 1000)
	if err != nil {
		return err
	}
	failures := make([]error, len(due))
	var group errgroup.Group
	group.SetLimit(4) // one slow service must not hold up the others for long, nor be flooded
	for i, key := range due {
		group.Go(func() error {
			failures[i] = s.refreshKey(ctx, key)
			return nil
		})
	}
	_ = group.Wait() // each failure is kept in its place
	return errors.Join(failures...)
}

func (s *Service) refreshKey(ctx context.Context, key GrantKey) error {
	c, _, err := s.Store.Connector(ctx, key.Account, key.Connector)
	if err != nil {
		return err
	}
	if _, err = s.refresh(ctx, c, key, ""); err != nil {
		return fmt.Errorf("connector %q of account %s: %w", c.Name, key.Account, err)
	}
	return nil
}

// fresh returns the grant with a token that still works for a while.
func (s *Service) fresh(ctx context.Context, c Connector, h Held) (Held, error) {
	now := s.Now()
	alive := now.Before(h.ExpiresAt.Add(-expiryLeeway))
	if alive && (now.Before(h.RefreshAt) || now.Before(h.RetryAt)) {
		return h, nil
	}
	if now.Before(h.RetryAt) {
		return Held{}, tooSoon(h)
	}
	fresh, err := s.refresh(ctx, c, h.Key(), "")
	if err != nil && alive && !errors.Is(err, ErrReauthorize) {
		return h, nil // the refresh is tried again later; meanwhile the old token is good
	}
	return fresh, err
}

func tooSoon(h Held) error {
	return fmt.Errorf("%w: the last refresh failed; next try at %s", ErrUnreachable, h.RetryAt.UTC().Format(time.RFC3339))
}

// refresh rotates a grant's tokens: one caller in this process, one process by the lease. It does not stop half-way
// when its caller goes away, because tokens that the service gave out must be kept. A refused access token is never too
// young for it.
func (s *Service) refresh(ctx context.Context, c Connector, key GrantKey, refused account.Secret) (Held, error) {
	held, err, _ := s.refreshes.Do(string(key.Account)+"/"+key.Grant, func() (any, error) {
		return s.refreshLeased(context.WithoutCancel(ctx), c, key, refused)
	})
	if err != nil {
		return Held{}, err
	}
	return held.(Held), nil
}

func (s *Service) refreshLeased(ctx context.Context, c Connector, key GrantKey, refused account.Secret) (Held, error) {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	for {
		lease, h, ok, err := s.Store.Acquire(ctx, key, leaseLife)
		switch {
		case err != nil:
			return Held{}, err
		case !h.EndedAt.IsZero():
			return Held{}, fmt.Errorf("%w (%s)", ErrReauthorize, h.EndReason)
		case s.Now().Before(h.RefreshAt) && !h.Tokens.Access.Equal(refused): // somebody else was faster
			return h, s.giveBack(ctx, lease, ok)
		case s.Now().Before(h.RetryAt): // somebody else has just failed
			return Held{}, errors.Join(tooSoon(h), s.giveBack(ctx, lease, ok))
		case ok:
			ctx, cancel := context.WithTimeout(whole, refreshDeadline)
			defer cancel()
			return s.rotate(ctx, c, lease, h)
		}
		select {
		case <-ctx.Done():
			return Held{}, fmt.Errorf("%w: another process holds the refresh: %w", ErrUnreachable, ctx.Err())
		case <-time.After(leasePoll):
		}
	}
}

func (s *Service) giveBack(ctx context.Context, l Lease, held bool) error {
	if !held {
		return nil
	}
	return s.Store.Release(ctx, l)
}

// rotate asks for new tokens and saves them before anybody uses them.
func (s *Service) rotate(ctx context.Context, c Connector, l Lease, h Held) (Held, error) {
	t, err := s.ask(ctx, c, h)
	switch {
	case errors.Is(err, ErrReauthorize):
		return Held{}, errors.Join(err, s.end(ctx, c, l, h))
	case err != nil:
		return Held{}, errors.Join(err, s.postpone(ctx, c, l, h, err))
	}
	if t.Refresh == "" { // RFC 6749 §6: the old one stays good
		t.Refresh = h.Tokens.Refresh
	}
	at := refreshAt(s.Now(), t.ExpiresAt)
	back := Event{}
	if h.Failures > 0 {
		back = s.event(c.Account, c.ID, byDemarc,
			"The service answers again; the authorisation of "+h.Email+" was refreshed.")
	}
	if err := s.persist(ctx, l.Key, h.Generation, t, at, back); err != nil {
		return Held{}, err
	}
	h.Tokens, h.ExpiresAt, h.RefreshAt, h.Failures = t, t.ExpiresAt, at, 0
	h.Generation++
	return h, s.Store.Release(ctx, l)
}

// ask leaves time to write down that no answer came.
func (s *Service) ask(ctx context.Context, c Connector, h Held) (Tokens, error) {
	ctx, cancel := context.WithTimeout(ctx, askDeadline)
	defer cancel()
	return s.OAuth.Refresh(ctx, c.BaseURL, h.Tokens.Refresh)
}

// persist tries for as long as there is time: new tokens that are lost end the grant, unless the service gives the same
// pair again.
func (s *Service) persist(ctx context.Context, key GrantKey, generation int64, t Tokens, at time.Time, e Event) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, persistPause) {
		err := s.Store.Rotate(ctx, key, generation, t, at, e)
		if err == nil || errors.Is(err, ErrStale) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func (s *Service) end(ctx context.Context, c Connector, l Lease, h Held) error {
	reason := "The authorisation of " + h.Email + " has ended: the service no longer accepts it " +
		"(revoked, the person left, or it was not used for too long). An admin must choose Connect again."
	s.Log.WarnContext(ctx, "a grant has ended", "account", c.Account, "connector", c.ID, "grant", h.Grant.ID)
	return s.Store.End(ctx, l, h.Generation, reason, s.event(c.Account, c.ID, byDemarc, reason))
}

func (s *Service) postpone(ctx context.Context, c Connector, l Lease, h Held, cause error) error {
	note := "The service did not answer the last refresh (" + clip(cause.Error()) +
		"). Phones keep working; demarc tries again by itself."
	return s.Store.Postpone(ctx, l, h.Generation, s.Now().Add(retryAfter(h.Failures)), note,
		s.event(c.Account, c.ID, byDemarc, note))
}
