package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

func (c Config) checkTelephony(add func(string, string, ...any)) {
	t := c.Telephony
	c.checkNodes(add)
	if c.Has(RoleTelephony) && len(t.Listeners) == 0 {
		add("telephony.listeners", "the role telephony needs at least one listener")
	}
	c.checkListeners(add)
	if len(t.Algorithms) == 0 {
		add("telephony.algorithms", "name at least one of MD5, SHA-256, SHA-512-256")
	}
	checkAlgorithms(add, "telephony.algorithms", t.Algorithms)
	for i, r := range t.RealmOffers {
		key := fmt.Sprintf("telephony.realm_algorithms[%d]", i)
		if r.Realm == "" || len(r.Algorithms) == 0 {
			add(key, "needs realm and algorithms")
		}
		checkAlgorithms(add, key, r.Algorithms)
	}
	t.Limits.check(add)
	t.Calls.check(add)
	t.Media.check(add)
	if t.MinExpires < time.Second || t.MinExpires > t.DefaultExpires {
		add("telephony.min_expires", "%s: use 1s up to telephony.default_expires, which is %s", t.MinExpires, t.DefaultExpires)
	}
	if t.FlowTimer < 10*time.Second || t.FlowTimer > time.Hour {
		add("telephony.flow_timer", "%s: use 10s to 1h", t.FlowTimer)
	}
	if t.UDPKeepAlive != 0 && (t.UDPKeepAlive < 5*time.Second || t.UDPKeepAlive > 10*time.Minute) {
		add("telephony.udp_keepalive", "%s: use 5s to 10m, or 0", t.UDPKeepAlive)
	}
	if t.TraceMemory < 0 || t.TraceMemory > 16<<10 {
		add("telephony.trace_memory", "%d: use 0 to 16384 (megabytes)", t.TraceMemory)
	}
	for _, cidr := range t.Proxies {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			add("telephony.proxies", "%q is not an address range: write it like 192.0.2.0/24", cidr)
		}
	}
	for _, provider := range t.PushProviders {
		if provider == "" || strings.ContainsAny(provider, " \t\",;=<>") {
			add("telephony.push_providers", "%q is not a provider's name: write it like apns", provider)
		}
	}
	if t.Bindings != "store" && t.Bindings != "memory" {
		add("telephony.bindings", "%q: use store or memory", t.Bindings)
	}
	if t.DefaultExpires > t.MaxExpires {
		add("telephony.default_expires", "%s is longer than max_expires (%s)", t.DefaultExpires, t.MaxExpires)
	}
}

// checkNodes looks at what a node is to the others.
func (c Config) checkNodes(add func(string, string, ...any)) {
	t := c.Telephony
	if !isNodeName(t.Node) {
		add("telephony.node", "%q: use up to 64 letters (a to z), digits, - and ., with a letter or digit at both ends and on both sides of each dot: "+
			"it stands in SIP URIs as a host", t.Node)
	}
	if t.NodeListen != "" {
		checkAddress(add, "telephony.internal_listen", t.NodeListen)
		if t.Bindings == "memory" {
			add("telephony.internal_listen", "several nodes need telephony.bindings: store")
		}
		if strings.HasPrefix(c.StoreURL(), "sqlite:") {
			add("telephony.internal_listen", "several nodes need PostgreSQL: set store.url")
		}
		if strings.ContainsAny(t.Node, "_") {
			add("telephony.node", "%q: with several nodes use letters, digits, - and . alone", t.Node)
		}
	}
	if t.NodeAdvertise != "" && t.NodeListen == "" {
		add("telephony.internal_advertise", "does nothing without telephony.internal_listen: set that too")
	} else if t.NodeAdvertise != "" {
		checkAddress(add, "telephony.internal_advertise", t.NodeAdvertise)
	} else if host, _, err := net.SplitHostPort(t.NodeListen); err == nil && anywhere(host) {
		add("telephony.internal_advertise", "internal_listen is on all addresses (%s): say by which one other nodes reach it",
			t.NodeListen)
	}
}

func (c Config) checkListeners(add func(string, string, ...any)) {
	names, shared := map[string]bool{}, map[string]bool{}
	for i, l := range c.Telephony.Listeners {
		key := fmt.Sprintf("telephony.listeners[%d]", i)
		if l.Name == "" || names[l.Name] {
			add(key, "every listener needs a name of its own")
		}
		names[l.Name] = true
		l.check(func(format string, args ...any) { add(key, format, args...) })
		checkAlgorithms(add, key, l.Algorithms)
		if l.Shares == "" {
			checkAddress(add, key, l.Address)
			continue
		}
		under := map[string]string{"wss": "tls", "ws": "tcp"}[l.Transport]
		switch {
		case under == "":
			add(key, "shares is for wss, with a tls listener, and for ws, with a tcp listener")
		case l.Address != "":
			add(key, "with shares the address is the other listener's: take address out")
		case l.TLSPolicy+l.TLSMin+l.TLSMax+l.TLSKeys != "" || len(l.TLSSuites) > 0:
			add(key, "with shares the TLS settings are the other listener's: set them there")
		case shared[l.Shares]:
			add(key, "shares %q: only one listener can share another one's address", l.Shares)
		case !slices.ContainsFunc(c.Telephony.Listeners, func(o Listener) bool { return o.Name == l.Shares && o.Transport == under }):
			add(key, "shares %q: there is no %s listener of that name", l.Shares, under)
		}
		shared[l.Shares] = true
	}
}

// check holds what is the listener's alone.
func (l Listener) check(add func(string, ...any)) {
	web := l.Transport == "ws" || l.Transport == "wss"
	switch {
	case !slices.Contains([]string{"udp", "tcp", "tls", "ws", "wss"}, l.Transport):
		add("transport %q: use udp, tcp, tls, ws or wss", l.Transport)
	case !web && (l.Path != "" || len(l.Origins) > 0):
		add("path and origins are for ws and wss")
	case l.Path != "" && l.Path[0] != '/':
		add("path %q: begin it with /", l.Path)
	}
	if !slices.Contains([]string{"", "always", "registered"}, l.CallAuth) {
		add("call_authentication %q: use always or registered", l.CallAuth)
	}
	if host, port, err := net.SplitHostPort(l.Advertise); l.Advertise != "" && (err != nil || host == "" || !isPort(port)) {
		add("advertise %q: write host:port as phones see it", l.Advertise)
	}
	if _, err := netip.ParseAddr(l.Media); l.Media != "" && err != nil && !isName(l.Media) {
		add("advertise_media %q: write an IP address, or a DNS name", l.Media)
	}
	l.checkTLS(add)
	for _, pattern := range l.Origins {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			add("origin %q: write a host like phone.example.org, with * for any part of it", pattern)
		}
	}
}

func (l Listener) checkTLS(add func(string, ...any)) {
	versions := []string{"", "1.2", "1.3"}
	switch {
	case l.TLSPolicy+l.TLSMin+l.TLSMax+l.TLSKeys == "" && len(l.TLSSuites) == 0:
	case l.Transport != "tls" && l.Transport != "wss":
		add("tls_policy, tls_min, tls_max, tls_suites and tls_key_exchange are for tls and wss")
	case !slices.Contains([]string{"", "classical", "hybrid"}, l.TLSKeys):
		add("tls_key_exchange %q: use classical or hybrid", l.TLSKeys)
	case l.TLSPolicy != "" && l.TLSPolicy != "aes256":
		add("tls_policy %q: use aes256, or leave it out", l.TLSPolicy)
	case !slices.Contains(versions, l.TLSMin), !slices.Contains(versions, l.TLSMax):
		add("tls_min and tls_max are 1.2 or 1.3: older ones are broken")
	case l.TLSMin == "1.3" && (l.TLSMax == "1.2" || len(l.TLSSuites) > 0):
		add("with tls_min 1.3 neither tls_max 1.2 nor suites of TLS 1.2 make sense")
	case l.TLSPolicy == "aes256" && (l.TLSMin == "1.3" || l.TLSMax == "1.3" || len(l.TLSSuites) > 0):
		add("aes256 leaves TLS 1.2 with suites of its own: take 1.3 and tls_suites out")
	}
	for _, name := range l.TLSSuites {
		known := func(s *tls.CipherSuite) bool {
			return s.Name == name && slices.Contains(s.SupportedVersions, tls.VersionTLS12)
		}
		if !slices.ContainsFunc(tls.CipherSuites(), known) {
			add("tls_suites: %q is no cipher suite of TLS 1.2 that is still safe; write it like "+
				"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", name)
		}
	}
}

// isName reports whether a text can be a DNS name of a host; one that could be read as an address is none.
func isName(s string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}
	return len(s) <= 253 && !strings.ContainsFunc(s, odd) && strings.ContainsFunc(s, unicode.IsLetter) &&
		!strings.HasPrefix(s, ".") && !strings.Contains(s, "..")
}

// isNodeName reports whether a name may be a node's: it stands in URIs and their parameters as a host (RFC 3261 §25.1), in a certificate,
// and in logs. A node that is alone, of which no other one hears, may have a _ too.
func isNodeName(s string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || strings.ContainsFunc(label, odd) || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return len(s) <= 64
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

func (c Calls) check(add func(key, format string, args ...any)) {
	for key, n := range map[string]int{"account_limit": c.Account, "user_limit": c.User, "node_limit": c.Node} {
		if n < 1 || n > mostOf {
			add("telephony.calls."+key, "%d: use 1 to %d", n, mostOf)
		}
	}
	if c.Ring < 5*time.Second || c.Ring > 10*time.Minute {
		add("telephony.calls.ring", "%s: use 5s to 10m", c.Ring)
	}
	if c.Session < 90*time.Second || c.Session > 24*time.Hour { // RFC 4028 §5: phones refuse less
		add("telephony.calls.session_expires", "%s: use 90s to 24h", c.Session)
	}
	if c.History < time.Hour {
		add("telephony.calls.history", "%s: use 1h or more", c.History)
	}
	if c.LostAfter < 30*time.Second || c.LostAfter > 24*time.Hour { // longer than the lease of a node's connections
		add("telephony.calls.lost_after", "%s: use 30s to 24h", c.LostAfter)
	}
	switch c.Encryption {
	case "required", "preferred", "off":
	default:
		add("telephony.calls.encryption", "%q: use required, preferred or off", c.Encryption)
	}
}

func (m Media) check(add func(key, format string, args ...any)) {
	if first, last := m.PortRange(); first < 1024 || first%2 != 0 || last < first+3 {
		add("telephony.media.ports", "%q: write FIRST-LAST from 1024 up, with an even first port, like 20000-29999", m.Ports)
	}
	if m.Timeout < 5*time.Second || m.Timeout > time.Hour {
		add("telephony.media.timeout", "%s: use 5s to 1h", m.Timeout)
	}
	if m.Video != "relay" && m.Video != "refuse" {
		add("telephony.media.video", "%q: use relay or refuse", m.Video)
	}
	if _, err := netip.ParseAddr(m.Address); m.Address != "" && err != nil {
		add("telephony.media.address", "%q is not an IP address", m.Address)
	}
	for i, n := range m.Networks {
		_, err := netip.ParsePrefix(n.Network)
		_, err2 := netip.ParseAddr(n.Address)
		if err != nil || err2 != nil {
			add(fmt.Sprintf("telephony.media.networks[%d]", i), "needs network (CIDR, like 192.0.2.0/24) and address (IP)")
		}
	}
}

func (l Limits) check(add func(string, string, ...any)) {
	for _, n := range []struct {
		key   string
		value int
	}{
		{"admission", l.Admission}, {"waiting", l.Waiting}, {"guesses", l.Guesses}, {"source_wrong", l.SourceWrong},
		{"source_requests", l.SourceRequests}, {"udp_replies", l.UDPReplies}, {"connections", l.Connections},
		{"source_connections", l.SourceConnections}, {"half_open", l.HalfOpen}, {"source_half_open", l.SourceHalfOpen},
	} {
		if n.value < 1 || n.value > mostOf {
			add("telephony.limits."+n.key, "%d: use 1 to %d", n.value, mostOf)
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"guess_refill", l.GuessRefill}, {"window", l.Window}, {"ban", l.Ban}, {"trust", l.Trust}} {
		if d.value < time.Second {
			add("telephony.limits."+d.key, "%s: use 1s or more", d.value)
		}
	}
}

func checkAlgorithms(add func(string, string, ...any), key string, names []string) {
	for _, name := range names {
		if !slices.Contains([]string{"MD5", "SHA-256", "SHA-512-256"}, name) {
			add(key, "unknown digest algorithm %q: use MD5, SHA-256 or SHA-512-256", name)
		}
	}
}
