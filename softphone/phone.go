package softphone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Config describes a phone.
type Config struct {
	Profile *Profile
	// OnSite says that this device is in the PBX's own network: a desktop then asks the PBX directly.
	OnSite bool
	// OnStatus is told every status in order, on the phone's own goroutine: it must return soon. May be nil.
	OnStatus func(Status)
	// Retry is how patient the phone is; the zero value is right for people.
	Retry Retry
	// UserAgent is what the PBX's logs will show; default "demarc".
	UserAgent string
	// Log may be nil. It never holds a secret.
	Log *slog.Logger
}

// Phone is one enrolled device. It fetches its credential, registers, stays registered, and says how it goes.
type Phone struct {
	cfg     Config
	client  *apiClient
	reports *reporter
	ids     identity
	cred    *credential // kept while the server answers 304, and while it does not answer

	running sync.Mutex // held by Run
	mu      sync.Mutex // guards what follows
	status  Status
	account Account
}

// New makes a phone of a profile. It does nothing before Run.
func New(cfg Config) (*Phone, error) {
	if cfg.Profile == nil {
		return nil, errors.New("a phone needs a profile: enrol first")
	}
	if err := cfg.Profile.validate(); err != nil {
		return nil, err
	}
	profile := *cfg.Profile
	cfg.Profile = &profile
	cfg.Retry = cfg.Retry.withDefaults()
	if cfg.UserAgent == "" {
		cfg.UserAgent = "demarc"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	client, err := newAPIClient(profile.Server, profile.CA)
	if err != nil {
		return nil, err
	}
	return &Phone{
		cfg:     cfg,
		client:  client,
		reports: newReporter(client, &profile, cfg.Retry, cfg.Log),
		ids:     identity{callID: token(16), tag: token(8)},
		status:  Status{State: Starting, At: time.Now()},
	}, nil
}

// Status returns what the phone is doing now.
func (p *Phone) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Account returns who the phone is; empty before the credential was fetched.
func (p *Phone) Account() Account {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.account
}

// Run registers and stays registered until ctx ends; then it un-registers and returns nil. It returns early only when
// trying again is pointless: ErrRevoked.
func (p *Phone) Run(ctx context.Context) error {
	if !p.running.TryLock() {
		return errors.New("this phone runs already")
	}
	defer p.running.Unlock()
	defer p.client.close()
	var reporting sync.WaitGroup
	defer reporting.Wait()
	reportCtx, stopReports := context.WithCancel(ctx)
	defer stopReports()
	reporting.Go(func() { p.reports.run(reportCtx) })

	p.set(Status{State: Starting})
	if err := p.stay(ctx); err != nil {
		p.set(Status{State: Revoked, Text: err.Error()})
		return err
	}
	p.set(Status{State: Stopped, Text: "stopped"})
	return nil
}

// stay registers again and again until ctx ends or the device is revoked.
func (p *Phone) stay(ctx context.Context) error {
	failures := 0 // rounds without a registration in a row
	broken := 0   // registrations in a row that broke soon: not a reason to come back at once each time
	for ctx.Err() == nil {
		s, wait, err := p.connect(ctx, failures+1)
		if errors.Is(err, ErrRevoked) {
			return err
		}
		failures++
		if s != nil {
			began := time.Now()
			wait = p.hold(ctx, s)
			if time.Since(began) >= p.cfg.Retry.Base {
				broken = 0
			}
			wait = max(wait, p.cfg.Retry.wait(broken))
			failures = 0
			broken++
		}
		sleep(ctx, wait)
	}
	return nil
}

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
	var failure *Failure
	if errors.As(err, &failure) && p.cred != nil {
		p.cfg.Log.Warn("the server does not answer, going on with the credential at hand", "why", failure)
		return nil
	}
	if err != nil {
		if errors.Is(err, ErrPending) || errors.Is(err, ErrRevoked) {
			p.cred = nil
		}
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

// hold keeps a registration up until it breaks or ctx ends, and returns how long the PBX asked to wait.
func (p *Phone) hold(ctx context.Context, s *session) time.Duration {
	defer s.conn.Close()
	p.registered(s)
	refresh := time.NewTimer(s.refreshIn())
	defer refresh.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			p.leave(ctx, s)
			return 0
		case <-s.conn.Done():
			err = s.lostFailure()
		case <-refresh.C:
			var wait time.Duration
			if wait, err = p.refresh(ctx, s); err == nil {
				refresh.Reset(wait)
			}
		}
		if err != nil && ctx.Err() == nil {
			failure := asFailure(err)
			p.cfg.Log.Info("registration lost", "registrar", s.addr.String(), "cause", failure.Cause, "why", failure.Text)
			p.set(s.status(Connecting, failure))
			return failure.retryAfter
		}
	}
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
