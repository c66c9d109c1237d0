package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"demarc/internal/account"
	"demarc/store"
	storecalls "demarc/store/calls"
	storeprovisioning "demarc/store/provisioning"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/exchange"
	"demarc/telephony/lamps"
	"demarc/telephony/media"
	"demarc/telephony/registration"
	"demarc/telephony/signal"
)

// startExchange makes what carries calls: the media, and the exchange that the edge is to hand calls to.
func (g *Gateway) startExchange(ctx context.Context) error {
	key, err := g.certificates.authority.Key("call tokens")
	if err != nil {
		return err
	}
	t := g.cfg.Telephony
	if err := ownAddress(t.Media.Address); err != nil {
		return err
	}
	m, err := media.New(g.mediaConfig(func(e telephony.MediaEvent) { g.telephony.exchange.Media(e) }))
	if err != nil {
		return err
	}
	g.telephony.media = m
	g.telephony.notes = newNotes(storeprovisioning.New(g.db, g.sealer), g.log)
	rows := storecalls.New(g.db, g.sealer)
	var orphans exchange.Orphans
	if g.db.Dialect() == store.PostgreSQL { // on SQLite there is no other node
		orphans = rows
	}
	g.telephony.carried = make(chan struct{})
	g.telephony.exchange = exchange.New(exchange.Config{
		Node: t.Node, Key: key, Host: g.telephony.edge.Reached, Policy: g.protection().of, Ring: t.Calls.Ring, Session: t.Calls.Session, Lost: t.Calls.LostAfter,
		Logger: g.log, Now: g.now, Carried: g.telephony.carried,
		Limits: exchange.Limits{Calls: t.Calls.Node, AccountCalls: t.Calls.Account, UserCalls: t.Calls.User},
		Ports: exchange.Ports{
			Signalling: g.telephony.edge.Signalling(), Media: m, Paths: m, Contacts: contacts{g}, Timeline: g.telephony.notes,
			History: rows, Orphans: orphans, Habits: rows,
			Watchers: g.dialogsChanged,
		},
	})
	g.telephony.rings.Store(g.telephony.exchange)
	g.telephony.teller = lamps.NewTeller(g.telephony.exchange)
	g.run("timeline of calls", g.telephony.notes.run)
	g.run("media", func(ctx context.Context) error {
		m.Serve(ctx)
		return nil
	})
	g.telephony.exchange.Start(ctx)
	g.every("call history prune", pruneEvery, g.pruneCalls)
	return nil
}

// pruneEvery is how often calls that are too old are forgotten.
const pruneEvery = time.Hour

// ownAddress fails for an address that no socket can have here: every call would.
func ownAddress(address string) error {
	if address == "" {
		return nil
	}
	socket, err := net.ListenPacket("udp", net.JoinHostPort(address, "0"))
	if err != nil {
		return fmt.Errorf("telephony.media.address: %w (write an address of this machine; what phones are told instead of it is "+
			"advertise_media of the listener)", err)
	}
	return socket.Close()
}

// mediaConfig says where media goes.
func (g *Gateway) mediaConfig(events func(telephony.MediaEvent)) media.Config {
	m := g.cfg.Telephony.Media
	c := media.Config{
		Timeout: m.Timeout, Video: m.Video == "relay", Music: m.Music, Announcements: m.Announcements, Events: events, Logger: g.log,
		Listeners: make(map[string]netip.Addr),
	}
	c.Ports.First, c.Ports.Last = m.PortRange()
	if m.Address != "" {
		c.Address = netip.MustParseAddr(m.Address) // validated with the configuration
	}
	for _, n := range m.Networks {
		c.Networks = append(c.Networks, media.Network{
			Prefix: netip.MustParsePrefix(n.Network), Address: netip.MustParseAddr(n.Address),
		})
	}
	for _, l := range g.cfg.Telephony.Listeners {
		if a := g.telephony.edge.MediaAddress(l.Name); a.IsValid() && !a.IsUnspecified() {
			c.Listeners[l.Name] = a
		}
	}
	return c
}

// contacts tells the exchange where the phones of a user are.
type contacts struct{ g *Gateway }

// askPatience bounds what the directory is asked about a user during a call, such as whether he exists: the call's worker waits for it.
const askPatience = 250 * time.Millisecond

// Targets returns the phones of a user, and exchange.ErrUnknown for who is not in the account's directory, or is not any more and
// still has a phone registered. When the directory does not answer in time everybody counts as known: nobody is told that somebody
// does not exist who does.
func (c contacts) Targets(ctx context.Context, id account.ID, aor telephony.AoR) ([]signal.Target, error) {
	if owner, sure := c.owner(ctx, aor); sure && owner != id {
		return nil, exchange.ErrUnknown
	}
	var all []signal.Target
	found := c.g.telephony.registrar.Lookup(ctx, aor)
	for i := range found {
		if t := &found[i]; belongsTo(t, id) {
			all = append(all, targetOf(t))
		}
	}
	return all, nil
}

// owner returns whose an AoR is, nearly always from memory; it is not sure where the directory does not answer in time.
func (c contacts) owner(ctx context.Context, aor telephony.AoR) (id account.ID, sure bool) {
	if id, sure = c.g.telephony.registrar.AccountAtOnce(aor); sure {
		return id, true
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	id, err := c.g.telephony.registrar.Account(ctx, aor)
	return id, err == nil || errors.Is(err, authentication.ErrUnknown)
}

func belongsTo(t *registration.Target, id account.ID) bool {
	return allOf(t.Flows, id) && allOf(t.Asleep, id)
}

func allOf(bindings []registration.Binding, id account.ID) bool {
	for i := range bindings {
		if bindings[i].Account != id {
			return false
		}
	}
	return true
}

// targetOf tells the exchange of a phone. One that is asleep has no ways.
func targetOf(t *registration.Target) signal.Target {
	target := signal.Target{Q: t.Q, Ways: make([]signal.Way, 0, len(t.Flows))}
	for i := range t.Flows {
		b := &t.Flows[i]
		target.Ways = append(target.Ways, signal.Way{
			Node: b.Node, Flow: b.Flow, AoR: b.AoR, Instance: b.Instance, Contact: b.Contact, Path: b.Path,
		})
	}
	switch {
	case len(t.Flows) > 0:
		target.URI, target.Name = t.Flows[0].Contact, t.Flows[0].UserAgent
	case len(t.Asleep) > 0:
		target.URI, target.Name = t.Asleep[0].Contact, t.Asleep[0].UserAgent
	}
	return target
}

// wakened lets calls ring a phone that was asleep when they came.
func (g *Gateway) wakened(aor telephony.AoR) {
	x := g.telephony.rings.Load()
	if x == nil {
		return // the registrar tells of what it loads at its start, and of what other nodes tell meanwhile
	}
	for _, t := range g.telephony.registrar.Lookup(context.Background(), aor) {
		if len(t.Flows) > 0 {
			x.Registered(t.Flows[0].Account, aor, targetOf(&t))
		}
	}
}
