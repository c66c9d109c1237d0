package gateway

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/client"
	"demarc/connector"
	"demarc/internal/account"
	"demarc/provisioning"
	storeaccess "demarc/store/access"
	storeconnector "demarc/store/connector"
	storeprovisioning "demarc/store/provisioning"
	storeregistrar "demarc/store/registrar"
)

// connectorRole is the link, the sync, and what API and pages stand on.
type connectorRole struct {
	client       *client.Client
	connectors   *connector.Service
	provisioning *provisioning.Service
	done         chan struct{} // closed at the stop, for streams that stay open
}

// refreshEvery is how often grants that end soon are looked for: often enough that a refresh whose answer was lost is
// asked for again while the service still gives the same one.
const refreshEvery = 5 * time.Second

// sweepEvery is how often what nobody needs any more is looked for.
const sweepEvery = time.Hour

func (g *Gateway) startConnector(context.Context) error {
	var err error
	if g.connector.client, err = g.newClient(); err != nil {
		return err
	}
	g.onStop("cloudlink client", func(context.Context) error { g.connector.client.Close(); return nil })
	g.connector.connectors = connector.New(connector.Config{
		Store: storeconnector.New(g.db, g.sealer), OAuth: g.connector.client, RedirectURI: g.redirectURI(),
		Now: g.now, Log: g.log,
	})
	phoneCA, err := g.phoneCA()
	if err != nil {
		return err
	}
	g.connector.provisioning = provisioning.New(provisioning.Config{
		Store: storeprovisioning.New(g.db, g.sealer), Now: g.now, Log: g.log,
		ServerURL: g.URL(), CAPEM: phoneCA, CADER: g.certificates.caDER,
	})
	g.connector.done = make(chan struct{})
	g.every("token refresh", refreshEvery, g.connector.connectors.RefreshDue)
	g.every("sweep", sweepEvery, g.sweep)
	g.every("reported registrations", time.Second, g.connector.provisioning.LapseDue)
	g.every("sync", g.cfg.Connector.SyncEvery, g.syncAll)
	feed := storeregistrar.New(g.db, g.sealer)
	g.run("registration feed", func(ctx context.Context) error {
		return g.connector.provisioning.Follow(ctx, feed)
	})
	return nil
}

// sweep removes what nobody needs any more; one part's trouble must not stop the others.
func (g *Gateway) sweep(ctx context.Context) error {
	return errors.Join(
		storeaccess.New(g.db).Sweep(ctx, g.now()), g.connector.connectors.Sweep(ctx), g.connector.provisioning.Sweep(ctx),
	)
}

// phoneCA returns the certificates that phones trust at registrars: our own CA unless our certificate is a public one,
// and those of connector.phone_ca_file.
func (g *Gateway) phoneCA() ([]byte, error) {
	path := g.cfg.Connector.PhoneCAFile
	if path == "" {
		return g.certificates.caPEM, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("connector.phone_ca_file: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("connector.phone_ca_file: %s holds no certificate in PEM", path)
	}
	return slices.Concat(g.certificates.caPEM, content), nil
}

// newClient returns the client that trusts the system's authorities, our own, and those of connector.ca_file.
func (g *Gateway) newClient() (*client.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(g.certificates.caPEM)
	if path := g.cfg.Connector.CAFile; path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("connector.ca_file: %w", err)
		}
		if !roots.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("connector.ca_file: %s holds no certificate in PEM", path)
		}
	}
	secret, err := g.clientSecret()
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{
		ClientID: g.cfg.Connector.ClientID, ClientSecret: secret, RedirectURI: g.redirectURI(), Roots: roots,
		Scopes:       []string{cloudlink.ScopeRead, cloudlink.ScopeWrite, cloudlink.ScopeCredential},
		AllowPrivate: g.allowPrivate(), Now: g.now,
	})
}

// allowPrivate lets the configured ranges be reached, and loopback when the service runs in this very process.
func (g *Gateway) allowPrivate() []netip.Prefix {
	var ranges []netip.Prefix
	for _, cidr := range g.cfg.Connector.AllowPrivate {
		ranges = append(ranges, netip.MustParsePrefix(cidr)) // validated with the configuration
	}
	if g.cloudlink.url != "" {
		ranges = append(ranges, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return ranges
}

// ServiceURL is where demarc link connects to: the configured service, or the one in this process.
func (g *Gateway) ServiceURL() string {
	if u := g.cfg.Connector.CloudLinkURL; u != "" {
		return u
	}
	return g.cloudlink.url
}

// SyncNow runs the sync of one account over its linked connectors.
func (g *Gateway) SyncNow(ctx context.Context, id account.ID, opts ...provisioning.SyncOption,
) (provisioning.SyncRun, error) {
	connectors, err := g.connector.connectors.List(ctx, id)
	if err != nil {
		return provisioning.SyncRun{}, err
	}
	linked, err := toSync(connectors)
	if err != nil {
		return provisioning.SyncRun{}, err
	}
	services := make([]provisioning.Source, len(linked))
	for i, c := range linked {
		services[i] = g.connector.client.Source(c.BaseURL, func(ctx context.Context, refused account.Secret) (account.Secret, error) {
			if refused != "" {
				return g.connector.connectors.Renew(ctx, id, c.ID, refused)
			}
			return g.connector.connectors.Token(ctx, id, c.ID)
		})
	}
	return g.connector.provisioning.Sync(ctx, id, services, opts...)
}

// toSync returns the linked connectors, one of each service: the oldest first, for who is known to several services is at the first.
// One that has lost its authorisation is among them, and is away to the sync: its users keep the credentials that their phones work with.
func toSync(all []connector.Connector) (linked []connector.Connector, err error) {
	all = slices.Clone(all)
	slices.SortStableFunc(all, older)
	at := func(url string) bool {
		return slices.ContainsFunc(linked, func(c connector.Connector) bool { return c.BaseURL == url })
	}
	for _, c := range all {
		if c.State == connector.Linked && !at(c.BaseURL) {
			linked = append(linked, c)
		}
	}
	if len(linked) == 0 {
		if slices.ContainsFunc(all, func(c connector.Connector) bool { return c.State == connector.NeedsAuth }) {
			return nil, fmt.Errorf("%w: connect the phone system first", connector.ErrReauthorize)
		}
		return nil, errNotLinked{}
	}
	for _, lost := range all {
		if lost.State == connector.NeedsAuth && !at(lost.BaseURL) {
			linked = append(linked, lost)
		}
	}
	slices.SortStableFunc(linked, older)
	return linked, nil
}

// errNotLinked is connector.ErrReauthorize of an account that never had an authorisation: nothing of it has ended.
type errNotLinked struct{}

func (errNotLinked) Error() string {
	return "no phone system is connected yet: connect one in the portal, or with \"demarc link\""
}

// Is lets it be taken for what it is to those who only ask whether somebody has to connect.
func (errNotLinked) Is(target error) bool { return target == connector.ErrReauthorize }

func older(a, b connector.Connector) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
}

// syncAll runs the sync of every account that has linked connectors.
func (g *Gateway) syncAll(ctx context.Context) error {
	accounts, err := g.access.Accounts(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, a := range accounts {
		if _, err := g.SyncNow(ctx, a.ID); err != nil && !errors.Is(err, connector.ErrReauthorize) {
			all = append(all, fmt.Errorf("account %s: %w", a.Domain, err))
		}
	}
	return errors.Join(all...)
}
