package gateway

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/miekg/dns"

	"demarc/cloudlink"
	"demarc/internal/config"
	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/resolver"
)

// lookupTimeout bounds how long the start waits for a name service.
const lookupTimeout = 5 * time.Second

// mediaAddress returns where phones of a listener are to send media, zero when that is not configured. A name is looked up
// once: the address in front of a 1:1 NAT is fixed.
func mediaAddress(ctx context.Context, l config.Listener) (netip.Addr, error) {
	if l.Media == "" {
		return netip.Addr{}, nil
	}
	if a, err := netip.ParseAddr(l.Media); err == nil {
		return a, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", l.Media)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("telephony.listeners: %s: advertise_media: %w (write the IP address, or mend the name)",
			l.Name, err)
	}
	for _, a := range found {
		if a.Unmap().Is4() { // every phone has IPv4
			return a.Unmap(), nil
		}
	}
	return found[0], nil
}

// ownRegistrars returns the addresses of our listeners that are safe on the internet, for both routes: inside and outside
// are one place here. For each route TLS comes before what browsers use.
func (g *Gateway) ownRegistrars() []cloudlink.Registrar {
	if g.telephony.edge == nil {
		return nil
	}
	var all []cloudlink.Registrar
	for _, role := range []cloudlink.RegistrarRole{cloudlink.RoleSBC, cloudlink.RoleInternal} {
		for _, transport := range []telephony.Transport{telephony.TLS, telephony.WSS} {
			for _, l := range g.cfg.Telephony.Listeners {
				if r, ok := g.registrarOf(l); ok && r.Transport == string(transport) {
					r.Role = role
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// registrarOf describes a listener for phones. One for WebSockets without TLS stands behind somebody who ends TLS, and is
// of use when it advertises where that is.
func (g *Gateway) registrarOf(l config.Listener) (cloudlink.Registrar, bool) {
	r := cloudlink.Registrar{Transport: l.Transport, Path: l.Path}
	switch telephony.Transport(l.Transport) {
	case telephony.TLS, telephony.WSS:
	case telephony.WS:
		if l.Advertise == "" {
			return r, false
		}
		r.Transport = string(telephony.WSS)
	default:
		return r, false
	}
	if l.Advertise == "" {
		r.Host, r.Port = g.cfg.ServerName(), int(g.telephony.edge.Addr(l.Name).Port())
		return r, true
	}
	host, port, _ := net.SplitHostPort(l.Advertise) // validated with the configuration
	n, err := strconv.Atoi(port)
	r.Host, r.Port = host, n
	return r, err == nil
}

// MediaAddress returns where phones of a SIP listener are to send media, zero when that is for the way to them to tell.
func (g *Gateway) MediaAddress(listener string) netip.Addr {
	return g.telephony.edge.MediaAddress(listener)
}

// resolverFile names the name servers that this machine asks.
const resolverFile = "/etc/resolv.conf"

// nextHop finds proxies by their Path. Without name servers those that are named by address are found.
func nextHop() edge.NextHop {
	var servers []string
	if c, err := dns.ClientConfigFromFile(resolverFile); err == nil {
		for _, s := range c.Servers {
			servers = append(servers, net.JoinHostPort(s, c.Port))
		}
	}
	return resolver.New(resolver.Config{Servers: servers})
}

// proxyRoots is whom we believe a proxy's certificate: the system's authorities, our own, and tls.ca_file's.
func (g *Gateway) proxyRoots() *x509.CertPool {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AppendCertsFromPEM(g.certificates.authority.CAPEM())
	roots.AppendCertsFromPEM(g.certificates.caPEM)
	return roots
}
