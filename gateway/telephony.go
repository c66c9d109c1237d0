package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"demarc/internal/config"
	"demarc/internal/pki"
	"demarc/store"
	storeregistrar "demarc/store/registrar"
	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/events"
	"demarc/telephony/exchange"
	"demarc/telephony/lamps"
	"demarc/telephony/media"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
	"demarc/telephony/trace"
)

// feedKept is how long rows of the change feed stay for readers that were away.
const feedKept = 7 * 24 * time.Hour

// telephonyRole is the SIP side in this process.
type telephonyRole struct {
	edge      *edge.Edge
	registrar *registrar.Registrar
	events    *events.Service
	exchange  *exchange.Exchange
	rings     atomic.Pointer[exchange.Exchange] // the same, for the registrar, which is at work before it is there
	media     *media.Media
	teller    *lamps.Teller   // of this node's dialogs
	follower  *lamps.Follower // of other nodes' dialogs; nil: there are none
	between   between         // the way of calls to other nodes
	carried   chan struct{}   // closed once what calls send is carried everywhere
	notes     *notes          // what calls write into timelines
	trace     *trace.Recorder // nil when nothing is remembered
	brake     brake           // for users files that leave out too many
}

// handler is what the edge hands requests to.
type handler struct {
	*registrar.Registrar
	*events.Service
	*exchange.Exchange
	*between
}

// FlowClosed tells those who keep something by the connection.
func (h handler) FlowClosed(f telephony.Flow) {
	h.Service.FlowClosed(f)
	h.Registrar.FlowClosed(f)
}

var (
	_ edge.Calls = handler{}
	_ edge.Nodes = handler{}

	_ edge.Handshakes = handler{}
	_ edge.Guesses    = handler{}
)

// startTelephony opens the sockets first, because the directory names their ports, and takes messages last.
func (g *Gateway) startTelephony(ctx context.Context) error {
	if err := g.takeNodeName(ctx); err != nil {
		return err
	}
	if err := g.openEdge(ctx); err != nil {
		return err
	}
	r, err := g.startRegistrar(ctx)
	if err == nil {
		err = g.startExchange(ctx)
	}
	handler := handler{r, g.telephony.events, g.telephony.exchange, &g.telephony.between}
	if err != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return errors.Join(err, g.telephony.edge.Serve(ended, handler)) // closes the sockets
	}
	g.telephony.events.Start()
	g.run("SIP edge", func(ctx context.Context) error { return g.telephony.edge.Serve(ctx, handler) })
	if err = g.startNodes(ctx); err == nil {
		g.run("calls of an earlier life", g.carryCalls)
		if f := g.telephony.follower; f != nil {
			g.run("dialogs of other nodes", f.Run)
		}
	}
	g.onStop("calls", g.telephony.exchange.Stop)             // while edge and other nodes still carry its BYEs
	g.onStop("event subscriptions", g.telephony.events.Stop) // while the edge still carries its goodbyes
	return err
}

// carryCalls lets the exchange end the calls that this node had before a crash, once their phones are reached, those of other nodes too.
func (g *Gateway) carryCalls(ctx context.Context) error {
	select {
	case <-g.telephony.edge.Signalling().Serves():
		close(g.telephony.carried)
	case <-ctx.Done():
	}
	return nil
}

func (g *Gateway) openEdge(ctx context.Context) error {
	c := edge.Config{
		Log: g.log, Now: g.now, Limits: g.limits(), Proxies: prefixes(g.cfg.Telephony.Proxies),
		Node: g.cfg.Telephony.Node, Timers: g.timers,
	}
	if len(c.Proxies) > 0 {
		c.NextHop, c.ProxyRoots = nextHop(), g.proxyRoots()
	}
	if mb := g.cfg.Telephony.TraceMemory; mb > 0 {
		g.telephony.trace = trace.NewRecorder(mb << 20)
		c.Trace = g.telephony.trace
	}
	for _, l := range g.cfg.Telephony.Listeners {
		opened := edge.Listener{
			Name: l.Name, Transport: telephony.Transport(l.Transport), Address: l.Address, Advertise: l.Advertise,
			Path: l.Path, Origins: g.origins(l), Shares: l.Shares, TrustsFlows: l.CallAuth == "registered",
		}
		var err error
		if opened.Media, err = mediaAddress(ctx, l); err != nil {
			return err
		}
		if opened.Transport.Secure() && l.Shares == "" {
			opened.TLS, err = pki.ServerConfig(g.certificates.source, pki.Policy{
				Min: l.TLSMin, Max: l.TLSMax, Suites: l.TLSSuites, AES256: l.TLSPolicy == "aes256",
				Classical: l.TLSKeys != "hybrid",
			})
			if err != nil {
				return fmt.Errorf("telephony.listeners: %s: %w", l.Name, err)
			}
		}
		c.Listeners = append(c.Listeners, opened)
	}
	var err error
	if g.telephony.edge, err = edge.New(c); err != nil {
		return err
	}
	if err := g.telephony.edge.Listen(ctx); err != nil {
		return fmt.Errorf("%w (choose another address with telephony.listeners, or end the program that has it)", err)
	}
	return nil
}

// knownIdle is how long a phone's silent connection is kept beyond the longest registration: whoever refreshes late has it still.
const knownIdle = 65 * time.Minute

// limits hands the configured limits on; the edge's own defaults hold for the rest.
func (g *Gateway) limits() edge.Limits {
	l := g.cfg.Telephony.Limits
	return edge.Limits{
		Admission: l.Admission, Waiting: l.Waiting, Guesses: l.Guesses, GuessRefill: l.GuessRefill, SourceWrong: l.SourceWrong,
		SourceRequests: l.SourceRequests, Window: l.Window, Ban: l.Ban, Trust: l.Trust, UDPReplies: l.UDPReplies,
		Connections: l.Connections, SourceConnections: l.SourceConnections, HalfOpen: l.HalfOpen,
		SourceHalfOpen: l.SourceHalfOpen, KnownIdle: g.cfg.Telephony.MaxExpires + knownIdle,
	}
}

// origins says whose pages may open a WebSocket: the configured ones, else the portal's.
func (g *Gateway) origins(l config.Listener) []string {
	if len(l.Origins) > 0 {
		return l.Origins
	}
	if u, err := url.Parse(g.URL()); err == nil && u.Host != "" {
		return []string{u.Host}
	}
	return nil
}

func (g *Gateway) startRegistrar(ctx context.Context) (*registrar.Registrar, error) {
	rows := storeregistrar.New(g.db, g.sealer)
	c := registrar.Config{
		Node: g.cfg.Telephony.Node, Directory: rows, Bindings: rows, Offers: g.offers(), Algorithms: g.offered(),
		Rules: registration.Rules{
			MinExpires: g.cfg.Telephony.MinExpires, DefaultExpires: g.cfg.Telephony.DefaultExpires,
			MaxExpires: g.cfg.Telephony.MaxExpires, FlowTimer: g.cfg.Telephony.FlowTimer,
			Proxies: prefixes(g.cfg.Telephony.Proxies), Push: g.cfg.Telephony.PushProviders,
		},
		Volatile: g.cfg.Telephony.Bindings == "memory", ProbeEvery: g.cfg.Telephony.UDPKeepAlive, Now: g.now, Log: g.log,
	}
	if c.ProbeEvery > 0 {
		c.Prober = phones{g}
	}
	c.Changed, c.Gathers = g.registrationsChanged, g.telephony.edge.Signalling()
	if g.db.Dialect() == store.PostgreSQL && !c.Volatile { // on SQLite there is no other node
		peers := storeregistrar.NewPeers(rows)
		g.run("registration hints", peers.Run)
		c.Feed, c.Leases = peers, rows
	}
	r := registrar.New(c)
	g.telephony.registrar = r
	watching := events.Config{
		Auth: r, Directory: rows, Registrations: r, Sender: phones{g}, Dialogs: dialogs{g}, Timeline: timelines{g}, Now: g.now, Log: g.log,
	}
	if c.Leases != nil {
		g.telephony.follower = g.newFollower()
		watching.Elsewhere = g.telephony.follower
	}
	g.telephony.events = events.New(watching)
	switch err := g.loadDirectory(ctx); {
	case errors.Is(err, errManyRemoved): // after a crash, say: those who were there before have their phones
		g.failed(reloading).Add(1)
		g.log.Error("the users file is not loaded, and the directory stays as it was", "error", err)
	case err != nil:
		return r, err
	}
	if err := r.Start(ctx); err != nil {
		return r, err
	}
	r.Each(func(b registration.Binding) {
		g.telephony.edge.Remember(b.Flow, b.AoR, b.Instance, b.CallID, b.RefreshedAt)
		if b.Node == g.cfg.Telephony.Node && b.Reachable {
			g.telephony.edge.Resume(b.Flow)
		}
	})
	g.onStop("registrar", r.Stop)
	g.every("change feed prune", time.Minute, func(ctx context.Context) error {
		for {
			if n, err := rows.Prune(ctx, g.now().Add(-feedKept)); err != nil || n == 0 {
				return err
			}
		}
	})
	return r, nil
}

// registrationsChanged lets those know who watch a registration.
func (g *Gateway) registrationsChanged(aors []telephony.AoR) {
	for _, aor := range aors {
		g.telephony.events.Changed("reg", aor)
		g.wakened(aor)
	}
}

// prefixes reads ranges that were validated with the configuration.
func prefixes(ranges []string) []netip.Prefix {
	all := make([]netip.Prefix, len(ranges))
	for i, r := range ranges {
		all[i] = netip.MustParsePrefix(r)
	}
	return all
}

// SIPAddress returns host:port of a SIP listener by its configured name.
func (g *Gateway) SIPAddress(listener string) string { return g.telephony.edge.Addr(listener).String() }
