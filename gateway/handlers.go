package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"demarc/api"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/internal/config"
	"demarc/portal"
)

// routes returns what the API stands on: of the role connector all of it, else what every node can tell.
func (g *Gateway) routes() api.Config {
	c := api.Config{
		Access: g.access, Calls: g.history(), Trace: g.tracer(), Reach: g.reacher(),
		Guesses: access.NewGuesses(access.DefaultGuesses(g.now)), ServerURL: g.URL(), CAPEM: g.certificates.caPEM,
		Version: g.version, Log: g.log, Now: g.now,
	}
	if g.cfg.Has(config.RoleConnector) {
		c.Provisioning, c.Connectors, c.Sync = g.connector.provisioning, g.connector.connectors, g
	}
	return c
}

// operatorHandler returns what the operator's socket serves.
func operatorHandler(c api.Config, health http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", api.NewOperator(c))
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		mux.Handle(path, health)
	}
	mux.HandleFunc("GET /profile/{kind}", profile)
	return mux
}

// publicHandler returns what is served to everybody: API and pages on one origin.
func (g *Gateway) publicHandler(c api.Config) http.Handler {
	pages := portal.New(portal.Config{
		Access: g.access, Provisioning: g.connector.provisioning, Connectors: g.connector.connectors, Sync: g,
		Log: g.log, Now: g.now, Done: g.connector.done,
	})
	mux := http.NewServeMux()
	mux.Handle("/", pages)
	routes := api.New(c)
	for _, prefix := range []string{"/v1/", "/provision/", "/ca.pem"} {
		mux.Handle(prefix, routes)
	}
	return mux
}

// URL returns https://host:port of API and pages.
func (g *Gateway) URL() string {
	if g.listeners.http == nil {
		return ""
	}
	return g.publicURL(g.cfg.HTTP.PublicURL, g.listeners.http)
}

// HealthURL returns http://host:port of health and metrics, or empty.
func (g *Gateway) HealthURL() string {
	if g.listeners.metrics == nil {
		return ""
	}
	return "http://" + g.listeners.metrics.Addr().String()
}

// CAPEM returns the CA that phones and browsers must be told to trust; empty with a public certificate.
func (g *Gateway) CAPEM() []byte { return g.certificates.caPEM }

// SignInLink returns a one-time link by which the account's owner signs in to the portal.
func (g *Gateway) SignInLink(ctx context.Context) (account.Secret, error) {
	members, err := g.access.Members(ctx, g.account.ID)
	if err != nil {
		return "", err
	}
	for _, m := range members {
		if m.Role == account.Owner {
			token, _, err := g.access.IssueSignIn(ctx, g.account.ID, m.Email)
			return account.Secret(g.URL() + "/sign-in?token=" + token.Reveal()), err
		}
	}
	return "", fmt.Errorf("the account %s has no owner", g.account.Domain)
}

// Summary says in a few lines what runs where and what to do next.
func (g *Gateway) Summary() []string {
	lines := []string{fmt.Sprintf("demarc %s: %s (%s) on node %s", g.version, g.account.Name, g.account.Domain,
		g.cfg.Telephony.Node)}
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf("  "+format, args...)) }
	if g.cfg.Has(config.RoleTelephony) {
		for _, l := range g.cfg.Telephony.Listeners {
			add("SIP over %-9s %s", strings.ToUpper(l.Transport), g.telephony.edge.Addr(l.Name))
		}
	}
	if g.cloudlink.url != "" {
		add("CloudLink service  %s", g.cloudlink.url)
	}
	if url := g.URL(); url != "" {
		add("portal and API     %s", url)
		add("sign in with       demarc sign-in %s", g.ownerEmail())
		add("link the PBX with  demarc link")
	}
	if url := g.HealthURL(); url != "" {
		add("health and metrics %s/metrics", url)
	}
	return lines
}
