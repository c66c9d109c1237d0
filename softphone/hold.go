package softphone

import (
	"context"
	"math"
	"time"
)

// hold keeps a registration up until it breaks or ctx ends, and returns how long the PBX asked to wait.
func (p *Phone) hold(ctx context.Context, s *session) time.Duration {
	defer func() { _ = s.conn.Close() }()
	p.registered(s)
	refresh, back := time.NewTimer(s.refreshIn()), time.NewTimer(p.returnIn(s))
	defer refresh.Stop()
	defer back.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			p.leave(ctx, s)
			return 0
		case <-s.conn.Done():
			err = s.lostFailure()
		case <-refresh.C:
			if p.outdated(ctx) {
				p.leave(ctx, s)
				return 0
			}
			var wait time.Duration
			if wait, err = p.refresh(ctx, s); err == nil {
				refresh.Reset(wait)
			}
		case <-back.C:
			if better := p.better(ctx, s); better != nil {
				// The new registration replaced the old one (same instance and reg-id, RFC 5626 §6): removing that one
				// could remove both.
				_ = s.conn.Close()
				s = better
				p.registered(s)
				refresh.Reset(s.refreshIn())
			}
			back.Reset(p.returnIn(s))
		}
		if err != nil && ctx.Err() == nil {
			failure := asFailure(err)
			p.cfg.Log.Info("registration lost", "registrar", s.addr.String(), "cause", failure.Cause, "why", failure.Text)
			p.set(s.status(Connecting, failure))
			return failure.retryAfter
		}
	}
}

// outdated asks now and then whether the credential still stands: the PBX may have moved, or the device been revoked.
func (p *Phone) outdated(ctx context.Context) bool {
	if time.Since(p.fetched) < p.cfg.Retry.Recheck {
		return false
	}
	before := p.cred
	return p.refetch(ctx) != nil || p.cred != before
}

// returnIn returns when to look whether a better address answers again: never on the best.
func (p *Phone) returnIn(s *session) time.Duration {
	if all := routes(s.cred.Kind, p.cfg.OnSite, s.cred.Registrars); all[0] == s.addr {
		return math.MaxInt64
	}
	return between(p.cfg.Retry.Return/2, p.cfg.Retry.Return)
}

// better registers at the first address before the present one that takes the phone, or returns nil.
func (p *Phone) better(ctx context.Context, s *session) *session {
	for _, addr := range routes(s.cred.Kind, p.cfg.OnSite, s.cred.Registrars) {
		if addr == s.addr || ctx.Err() != nil {
			return nil
		}
		if found, failure := p.open(ctx, addr); failure == nil {
			return found
		}
	}
	return nil
}

// refresh renews the registration and returns when to do so next. A PBX that is busy is asked again on the same
// connection for as long as the registration stands.
func (p *Phone) refresh(ctx context.Context, s *session) (time.Duration, error) {
	err := s.register(ctx)
	if err == nil {
		p.registered(s)
		return s.refreshIn(), nil
	}
	failure := asFailure(err)
	left := time.Until(s.until)
	again := max(failure.retryAfter, left/4)
	if failure.Code >= 500 && failure.Code < 600 && again < left-p.cfg.Retry.Answer {
		return again, nil
	}
	return 0, failure
}

// leave un-registers, for which a second round trip must be waited for although ctx ended.
func (p *Phone) leave(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(p.cfg.Retry.Answer, 5*time.Second))
	defer cancel()
	if err := s.unregister(ctx); err != nil {
		p.cfg.Log.Warn("un-registering failed; the registration ends by itself", "at", s.until, "why", err)
	}
}
