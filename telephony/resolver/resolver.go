// Package resolver finds SIP servers by DNS (RFC 3263). No phone is ever looked up: that is for peers outside, such as proxies. No
// compatibility promise.
package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"demarc/telephony"
	"demarc/telephony/wire"
)

// Hop is one place to send a request to.
type Hop struct {
	Transport telephony.Transport
	Address   netip.AddrPort
	Host      string // the name that led to the address
	// Domain is the URI's host: what a certificate must be for, and the name for SNI. What DNS made of it proves nothing
	// (RFC 5922 §4).
	Domain string
}

// ErrNoHop says that DNS knows no way to a URI.
var ErrNoHop = errors.New("resolver: DNS knows no server for this URI")

// Config configures a Resolver.
type Config struct {
	Servers []string      // host:port of DNS servers, asked in turn; needed
	Timeout time.Duration // of one question to one server; 2 s when 0
	// Transports in order of preference; TLS, TCP, UDP when empty.
	Transports []telephony.Transport
}

// Resolver finds servers as RFC 3263 §4 says: NAPTR, then SRV, then addresses. It keeps nothing.
type Resolver struct{ cfg Config }

// New returns a Resolver.
func New(c Config) *Resolver {
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	if len(c.Transports) == 0 {
		c.Transports = []telephony.Transport{telephony.TLS, telephony.TCP, telephony.UDP}
	}
	return &Resolver{c}
}

// maxHops bounds what one answer can make us try.
const maxHops = 32

// Resolve returns where to send a request for the URI, best first: when one fails, the next is tried (§4.3).
func (r *Resolver) Resolve(ctx context.Context, uri wire.URI) ([]Hop, error) {
	q := &resolution{
		Resolver: r, ctx: ctx, domain: strings.ToLower(strings.TrimSuffix(string(uri.Host), ".")), secure: uri.Secure,
	}
	if t, ok := wire.Param(uri.Params, "transport"); ok {
		q.transport = telephony.Transport(strings.ToLower(string(t)))
	}
	if uri.Secure && q.transport == telephony.TCP { // RFC 3261 §26.2.2: sips over tcp means TLS
		q.transport = telephony.TLS
	}
	if q.transport != "" && !q.supports(q.transport) || uri.Secure && q.transport == telephony.UDP {
		return nil, fmt.Errorf("%w: %s asks for the transport %s", ErrNoHop, q.domain, q.transport)
	}
	hops, err := q.hops(uri.Port)
	if err == nil && len(hops) == 0 {
		err = fmt.Errorf("%w: %s", ErrNoHop, q.domain)
	}
	return hops[:min(len(hops), maxHops)], err
}

// resolution is one Resolve at work.
type resolution struct {
	*Resolver
	ctx       context.Context
	domain    string
	transport telephony.Transport // asked for, or ""
	secure    bool
}

func (q *resolution) hops(port int) ([]Hop, error) {
	if address, err := netip.ParseAddr(q.domain); err == nil {
		t := q.otherwise()
		return []Hop{{t, netip.AddrPortFrom(address, portOf(port, t)), q.domain, q.domain}}, nil
	}
	if port != 0 {
		return q.addresses(q.otherwise(), q.domain, uint16(port))
	}
	services, err := q.services()
	if err != nil {
		return nil, err
	}
	var hops []Hop
	for _, s := range services {
		more, err := q.servers(s)
		if err != nil {
			return nil, err
		}
		hops = append(hops, more...)
	}
	if len(hops) > 0 {
		return hops, nil
	}
	t := q.otherwise()
	return q.addresses(t, q.domain, portOf(0, t)) // §4.2: no SRV
}

// otherwise is the transport where DNS says nothing (§4.1).
func (q *resolution) otherwise() telephony.Transport {
	switch {
	case q.transport != "":
		return q.transport
	case q.secure:
		return telephony.TLS
	case q.supports(telephony.UDP):
		return telephony.UDP
	}
	return q.cfg.Transports[0]
}

func (q *resolution) supports(t telephony.Transport) bool {
	return slices.Contains(q.cfg.Transports, t)
}

func portOf(port int, t telephony.Transport) uint16 {
	switch {
	case port != 0:
		return uint16(port)
	case t.Secure():
		return 5061
	}
	return 5060
}

// service is an SRV name and what it is spoken over.
type service struct {
	transport telephony.Transport
	name      string
}

// services returns the SRV names to ask for: by NAPTR, which orders transports by the domain's wish, else by ours.
func (q *resolution) services() ([]service, error) {
	if q.transport == "" {
		named, err := q.naptr()
		if err != nil || len(named) > 0 {
			return named, err
		}
	}
	var all []service
	for _, t := range q.cfg.Transports {
		if q.transport != "" && t != q.transport || q.secure && t != telephony.TLS {
			continue
		}
		switch t {
		case telephony.TLS:
			all = append(all, service{t, "_sips._tcp." + q.domain})
		case telephony.TCP, telephony.UDP:
			all = append(all, service{t, "_sip._" + string(t) + "." + q.domain})
		}
	}
	return all, nil
}

// naptr returns the services that the domain offers and we speak, by order and preference (RFC 3403 §4.1).
func (q *resolution) naptr() ([]service, error) {
	answer, err := q.ask(q.domain, dns.TypeNAPTR)
	if err != nil {
		return nil, err
	}
	var records []*dns.NAPTR
	for _, rr := range answer {
		if n, ok := rr.(*dns.NAPTR); ok && strings.EqualFold(n.Flags, "s") && n.Regexp == "" {
			records = append(records, n)
		}
	}
	slices.SortStableFunc(records, func(a, b *dns.NAPTR) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Preference, b.Preference))
	})
	var all []service
	for _, n := range records {
		t := spoken(n.Service)
		if q.supports(t) && (!q.secure || t == telephony.TLS) {
			all = append(all, service{t, n.Replacement})
		}
	}
	return all, nil
}

// spoken returns the transport of a NAPTR service (§4.1), or nothing.
func spoken(service string) telephony.Transport {
	switch strings.ToUpper(service) {
	case "SIPS+D2T":
		return telephony.TLS
	case "SIP+D2T":
		return telephony.TCP
	case "SIP+D2U":
		return telephony.UDP
	}
	return ""
}

// servers returns the hops of one service in the order to try: by priority, and by weighted chance among equals.
func (q *resolution) servers(s service) ([]Hop, error) {
	answer, err := q.ask(s.name, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	var records []*dns.SRV
	for _, rr := range answer {
		if srv, ok := rr.(*dns.SRV); ok && srv.Target != "." && srv.Port != 0 { // ".": not offered (RFC 2782)
			records = append(records, srv)
		}
	}
	var hops []Hop
	var failure error
	for _, srv := range byChance(records[:min(len(records), maxHops)]) {
		more, err := q.addresses(s.transport, strings.ToLower(strings.TrimSuffix(srv.Target, ".")), srv.Port)
		failure = cmp.Or(failure, err)
		hops = append(hops, more...)
	}
	return known(hops, failure)
}

// known makes of what was found all that there is, though somebody could not say of something else whether there is more: one dead name
// must not take the servers along that were found. Nothing is known where nothing was found.
func known(hops []Hop, failure error) ([]Hop, error) {
	if len(hops) > 0 {
		return hops, nil
	}
	return nil, failure
}

// addresses asks for IPv6 and IPv4 addresses of a host.
func (q *resolution) addresses(t telephony.Transport, host string, port uint16) ([]Hop, error) {
	var hops []Hop
	var failure error
	for _, kind := range []uint16{dns.TypeAAAA, dns.TypeA} {
		answer, err := q.ask(host, kind)
		failure = cmp.Or(failure, err)
		for _, rr := range answer {
			var address netip.Addr
			switch a := rr.(type) {
			case *dns.A:
				address, _ = netip.AddrFromSlice(a.A.To4())
			case *dns.AAAA:
				address, _ = netip.AddrFromSlice(a.AAAA)
			}
			if address.IsValid() {
				hops = append(hops, Hop{t, netip.AddrPortFrom(address.Unmap(), port), host, q.domain})
			}
		}
	}
	return known(hops, failure)
}

// ask puts a question to the servers in turn, and again over TCP when the answer was cut. A name that is not there has
// no records; an error means that nobody could say.
func (q *resolution) ask(name string, kind uint16) ([]dns.RR, error) {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	m.SetEdns0(1232, false)
	failure := errors.New("no DNS server is configured")
	for _, server := range q.cfg.Servers {
		answer, err := q.exchange(m, server)
		switch {
		case err != nil:
			failure = err
		case answer.Rcode == dns.RcodeSuccess, answer.Rcode == dns.RcodeNameError:
			return answer.Answer, nil
		default:
			failure = fmt.Errorf("the server answers %s", dns.RcodeToString[answer.Rcode])
		}
	}
	return nil, fmt.Errorf("resolver: DNS: %s %s: %w", dns.TypeToString[kind], name, failure)
}

func (q *resolution) exchange(m *dns.Msg, server string) (*dns.Msg, error) {
	client := dns.Client{Timeout: q.cfg.Timeout}
	answer, _, err := client.ExchangeContext(q.ctx, m, server)
	if err == nil && answer.Truncated {
		client.Net = "tcp"
		answer, _, err = client.ExchangeContext(q.ctx, m, server)
	}
	return answer, err
}
