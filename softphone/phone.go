package softphone

import (
	"context"
	"errors"
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
	fetched time.Time   // when the server was asked for it last

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
	reporting.Wait() // ctx has ended, and so has what is under way: the farewell is the last word
	p.reports.farewell(ctx)
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
