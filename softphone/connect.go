package softphone

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// connect fetches the credential and finds an address that registers it. Without a session it returns how long to
// wait; its error is only for telling ErrRevoked.
func (p *Phone) connect(ctx context.Context, failures int) (*session, time.Duration, error) {
	if err := p.refetch(ctx); err != nil {
		return nil, p.unfetched(ctx, err, failures), err
	}
	s, failure := p.round(ctx)
	if failure != nil && failure.refusedCredential() && ctx.Err() == nil {
		s, failure = p.rotated(ctx, failure) // the only failure that another look at the server can cure
	}
	if failure == nil || ctx.Err() != nil {
		return s, 0, nil
	}
	wait := max(p.cfg.Retry.wait(failures), failure.retryAfter)
	p.fail(failure, wait)
	return nil, wait, nil
}

// refetch asks whether the credential still stands. When the server cannot say, a kept one is used: phones work while
// the cloud does not.
func (p *Phone) refetch(ctx context.Context) error {
	cred, err := fetchCredential(ctx, p.client, p.cfg.Profile, p.cred)
	p.fetched = time.Now()
	switch {
	case errors.Is(err, ErrPending), errors.Is(err, ErrRevoked):
		p.cred = nil
		return err
	case err != nil && p.cred != nil:
		p.cfg.Log.Warn("the server gives no credential, going on with the one at hand", "why", err)
		return nil
	case err != nil:
		return err
	}
	p.cred = cred
	p.mu.Lock()
	defer p.mu.Unlock()
	p.account = Account{
		DisplayName: cred.DisplayName, Extension: cred.Extension, CallerID: cred.CallerID,
		VoicemailNumber: cred.VoicemailNumber, AoR: cred.Username + "@" + cred.Domain,
	}
	return nil
}

// unfetched shows why there is no credential and returns how long to wait before asking again.
func (p *Phone) unfetched(ctx context.Context, err error, failures int) time.Duration {
	var pending *pendingError
	var failure *Failure
	wait := p.cfg.Retry.wait(failures)
	switch {
	case ctx.Err() != nil || errors.Is(err, ErrRevoked):
		return 0
	case errors.As(err, &pending):
		wait = p.cfg.Retry.Pending
		if pending.retryAfter > 0 {
			wait = min(wait, pending.retryAfter)
		}
		wait = between(wait/2, wait)
		p.set(Status{State: Pending, Text: pending.text, Retry: time.Now().Add(wait)})
	case errors.As(err, &failure):
		wait = max(wait, failure.retryAfter)
		p.set(Status{
			State: Failed, Cause: failure.Cause, Text: "the demarc server: " + failure.Text, Retry: time.Now().Add(wait),
		})
	default:
		p.set(Status{State: Failed, Cause: CauseClient, Text: err.Error(), Retry: time.Now().Add(wait)})
	}
	return wait
}

// round tries each address once, best first. The failure returned is the one that says most.
func (p *Phone) round(ctx context.Context) (*session, *Failure) {
	var said *Failure
	for _, addr := range routes(p.cred.Kind, p.cfg.OnSite, p.cred.Registrars) {
		connecting := Status{State: Connecting, Registrar: addr.String(), Transport: addr.Transport, Route: addr.Role}
		if said != nil {
			connecting.Cause, connecting.Code, connecting.Text = said.Cause, said.Code, said.Error()
		}
		p.set(connecting)
		s, failure := p.open(ctx, addr)
		if failure == nil || ctx.Err() != nil {
			return s, nil
		}
		p.cfg.Log.Info("registering failed", "registrar", addr.String(), "cause", failure.Cause, "code", failure.Code,
			"why", failure.Text)
		if failure.refusedCredential() {
			return nil, failure
		}
		if said == nil || said.Code == 0 && failure.Code != 0 {
			said = failure
		}
	}
	if said == nil {
		said = &Failure{Cause: CauseClient, Text: fmt.Sprintf("the PBX has no address for a %s device: "+
			"it needs a registrar of role sbc; ask the PBX's admin", p.cred.Kind)}
	}
	return nil, said
}

// rotated looks whether the server has another credential by now, and if so tries that one, once.
func (p *Phone) rotated(ctx context.Context, failure *Failure) (*session, *Failure) {
	before := p.cred
	if err := p.refetch(ctx); err != nil || p.cred == before {
		return nil, failure
	}
	return p.round(ctx)
}

// open connects to one address and registers there.
func (p *Phone) open(ctx context.Context, addr address) (*session, *Failure) {
	dialCtx, cancel := context.WithTimeout(ctx, p.cfg.Retry.Answer)
	defer cancel()
	conn, err := dial(dialCtx, p.cred, p.cfg.Profile, addr, p.cfg.Log)
	if err != nil {
		failure := networkFailure(err, addr.Host)
		failure.Registrar = addr.String()
		return nil, failure
	}
	s := &session{
		cred: p.cred, addr: addr, conn: conn, ids: &p.ids, agent: p.cfg.UserAgent, patient: p.cfg.Retry.Answer,
		expires: p.cred.RegisterExpires,
	}
	if s.expires <= 0 {
		s.expires = defaultExpires
	}
	if err := s.register(ctx); err != nil {
		_ = conn.Close()
		return nil, asFailure(err)
	}
	return s, nil
}
