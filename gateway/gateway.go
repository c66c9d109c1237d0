package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"demarc/internal/access"
	"demarc/internal/config"
	"demarc/internal/seal"
	"demarc/store"
	storeaccess "demarc/store/access"
	"demarc/telephony/nodes"
	"demarc/telephony/sip"
)

// Config is what a Gateway is built from.
type Config struct {
	config.Config
	Log     *slog.Logger
	Version string
	Now     func() time.Time // nil: time.Now
	Timers  sip.Timers       // of SIP transactions; zero: those of RFC 3261
}

// Gateway is the assembled process.
type Gateway struct {
	lifecycle
	cfg     config.Config
	log     *slog.Logger
	version string
	now     func() time.Time
	timers  sip.Timers

	db      *store.DB
	sealer  *seal.Sealer
	access  *access.Service
	account access.Account // the one that the first start made

	listeners    listeners
	certificates certificates
	telephony    telephonyRole
	nodes        *nodes.Nodes // the way to the others; nil where there are none
	cloudlink    cloudlinkRole
	connector    connectorRole
}

// listeners are opened before anything is built, because links and certificates name their ports.
type listeners struct {
	http, cloudlink, metrics, acme net.Listener
	stops                          []func(context.Context) error // of the HTTP servers on them
	limits                         sync.Map                      // *limited by the server's name
}

// New returns a Gateway that Start builds.
func New(c Config) *Gateway {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Gateway{
		lifecycle: lifecycle{log: c.Log}, cfg: c.Config, log: c.Log, version: c.Version, now: c.Now, timers: c.Timers,
	}
}

// Start builds and starts every role. When it fails, what was started is stopped again.
func (g *Gateway) Start(ctx context.Context) error {
	steps := []struct {
		name string
		role config.Role // "" runs always
		step func(context.Context) error
	}{
		{"data directory", "", g.openData},
		{"listeners", "", g.openListeners},
		{"account", "", g.openAccount},
		{"telephony", config.RoleTelephony, g.startTelephony},
		{"nodes", "", g.joinNodes},
		{"cloudlink", config.RoleCloudLink, g.startCloudLink},
		{"connector", config.RoleConnector, g.startConnector},
		{"http", "", g.startHTTP},
		{"certificate by ACME", "", g.startACME},
	}
	for _, s := range steps {
		if s.role != "" && !g.cfg.Has(s.role) {
			continue
		}
		if err := s.step(ctx); err != nil {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return errors.Join(fmt.Errorf("starting %s: %w", s.name, err), g.Stop(stopping))
		}
	}
	g.log.Info("started", "version", g.version, "roles", g.cfg.Roles, "node", g.cfg.Telephony.Node)
	return nil
}

// Stop ends everything in reverse order: listeners first, the store last.
func (g *Gateway) Stop(ctx context.Context) error {
	err := g.stop(ctx)
	g.log.Info("stopped")
	return err
}

// openData opens what lives in the data directory: the store, the keyset and the certificates.
func (g *Gateway) openData(ctx context.Context) error {
	if err := os.MkdirAll(g.cfg.DataDir, 0o700); err != nil {
		return err
	}
	var err error
	g.db, err = store.Open(ctx, store.Config{URL: g.cfg.StoreURL(), Connections: g.cfg.Store.Connections, Log: g.log})
	if err != nil {
		return err
	}
	g.onStop("store", func(context.Context) error { return g.db.Close() })
	g.tuneCollector()
	if err := g.db.Migrate(ctx); err != nil {
		return err
	}
	if err := g.openKeyset(ctx); err != nil {
		return err
	}
	return g.openCertificates()
}

// openKeyset loads the keyset, or makes it at the first start, and refuses one that is not the store's: its secrets
// would not open here, and those sealed here would open nowhere else.
func (g *Gateway) openKeyset(ctx context.Context) error {
	path := g.cfg.KeysetFile()
	_, missing := os.Stat(path)
	var err error
	if g.sealer, err = seal.LoadOrCreate(path); err != nil {
		return err
	}
	place := seal.AAD{Table: "keyset_check", Column: "sealed", Row: "keyset"}
	sealed, err := g.sealer.Seal(place, "demarc")
	if err != nil {
		return err
	}
	if sealed, err = g.db.FirstKeyset(ctx, sealed); err != nil {
		return err
	}
	if _, err := g.sealer.Open(place, sealed); err != nil {
		if errors.Is(missing, os.ErrNotExist) { // it was made a moment ago, and opens nothing
			err = errors.Join(err, os.Remove(path))
		}
		return fmt.Errorf("the keyset %s is not the one that this store was sealed with: restore it from its backup, or "+
			"copy it from the node that has it (store.keyset_file): %w", path, err)
	}
	return nil
}

// certificateNames are the server's name and, for people who type it, this machine's loopback.
func (g *Gateway) certificateNames() []string {
	names := []string{g.cfg.ServerName()}
	if names[0] != "localhost" {
		names = append(names, "localhost")
	}
	return append(names, "127.0.0.1", "::1")
}

func (g *Gateway) openListeners(context.Context) error {
	for _, l := range []struct {
		to           *net.Listener
		needed       bool
		key, address string
	}{
		{&g.listeners.http, g.cfg.Has(config.RoleConnector), "http.listen", g.cfg.HTTP.Listen},
		{&g.listeners.cloudlink, g.cfg.Has(config.RoleCloudLink), "cloudlink.listen", g.cfg.CloudLink.Listen},
		{&g.listeners.metrics, g.cfg.HTTP.Metrics != "", "http.metrics", g.cfg.HTTP.Metrics},
		{&g.listeners.acme, g.certificates.acme != nil && g.cfg.TLS.ACMEListen != "", "tls.acme_listen", g.cfg.TLS.ACMEListen},
	} {
		if !l.needed {
			continue
		}
		opened, err := listen(l.key, l.address)
		if err != nil {
			return err
		}
		*l.to = opened
		g.onStop("listener "+l.key, func(context.Context) error {
			if err := opened.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
	}
	return nil
}

// openAccount finds the account, or makes it at the first start.
func (g *Gateway) openAccount(ctx context.Context) error {
	rows := storeaccess.New(g.db)
	g.access = access.New(access.Config{Accounts: rows, Members: rows, Sessions: rows, Now: g.now})
	accounts, err := g.access.Accounts(ctx)
	if err != nil {
		return err
	}
	domain, err := g.accountDomain()
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Domain == domain || (g.cfg.Account.Domain == "" && len(accounts) == 1) {
			g.account = a
			return nil
		}
	}
	owner := g.cfg.Account.Owner
	if owner == "" {
		owner = "owner@" + domain
	}
	g.account, err = g.access.CreateAccount(ctx, g.cfg.Account.Name, domain, owner)
	if err == nil {
		g.log.Info("account made", "name", g.account.Name, "domain", g.account.Domain, "owner", owner)
	}
	return err
}
