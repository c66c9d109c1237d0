package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is counted, and hours, have a most: more is a slip of the finger, and more hours do not fit into a duration.
const (
	mostOf    = 1 << 30
	mostHours = 100 * 365 * 24
)

// fault is one thing wrong with one key.
type fault struct{ key, text string }

// faults returns everything that is wrong, in the order of the keys.
func (c Config) faults() []fault {
	var all []fault
	add := func(key, format string, args ...any) { all = append(all, fault{key, fmt.Sprintf(format, args...)}) }
	c.checkProcess(add)
	c.checkTelephony(add)
	c.checkLink(add)
	return all
}

func (c Config) checkProcess(add func(string, string, ...any)) {
	if len(c.Roles) == 0 {
		add("roles", "name at least one of connector, cloudlink, telephony")
	}
	for _, r := range c.Roles {
		if !slices.Contains([]Role{RoleConnector, RoleCloudLink, RoleTelephony}, r) {
			add("roles", "unknown role %q: use connector, cloudlink or telephony", r)
		}
	}
	if c.DataDir == "" {
		add("data_dir", "must not be empty")
	}
	if c.Name == "" || net.ParseIP(c.Name) != nil || strings.ContainsAny(c.Name, ":/ @") {
		add("name", "%q is not a DNS name: some phones ignore IP addresses in certificates; use a name that resolves here", c.Name)
	}
	c.checkTLS(add)
	if strings.ContainsAny(c.Account.Domain, " @:;/") {
		add("account.domain", "%q is not a SIP domain: write it like pbx.example.org", c.Account.Domain)
	}
	if c.Account.Owner != "" && !strings.Contains(c.Account.Owner, "@") {
		add("account.owner", "%q is not an e-mail address", c.Account.Owner)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		add("log.level", "%q: use debug, info, warn or error", c.Log.Level)
	}
	if !slices.Contains([]string{"text", "json"}, c.Log.Format) {
		add("log.format", "%q: use text or json", c.Log.Format)
	}
	if u := c.StoreURL(); !strings.HasPrefix(u, "sqlite:") && !strings.HasPrefix(u, "postgres://") &&
		!strings.HasPrefix(u, "postgresql://") {
		add("store.url", "must begin with sqlite: or postgres://")
	}
	if c.Store.Connections < 1 || c.Store.Connections > 1000 {
		add("store.connections", "%d: use 1 to 1000", c.Store.Connections)
	}
	checkAddress(add, "http.listen", c.HTTP.Listen)
	checkOrigin(add, "http.public_url", c.HTTP.PublicURL)
	if c.HTTP.Metrics != "" {
		checkAddress(add, "http.metrics", c.HTTP.Metrics)
	}
}

func (c Config) checkTLS(add func(string, string, ...any)) {
	t := c.TLS
	if n := c.PublicName; n != "" && (!strings.Contains(n, ".") || net.ParseIP(n) != nil || strings.ContainsAny(n, ":/ @*")) {
		add("public_name", "%q is not a DNS name that the internet could know: write it like sip.example.org", n)
	}
	switch {
	case (t.CertificateFile == "") != (t.KeyFile == ""):
		add("tls.certificate_file", "certificate_file and key_file go together")
	case t.CertificateFile != "" && c.PublicName != "":
		add("tls.certificate_file", "the certificate comes from a file or, with public_name, by ACME: set one of the two")
	case t.CAFile != "" && t.CertificateFile == "" && c.PublicName == "":
		add("tls.ca_file", "belongs to certificate_file or public_name; phones are given demarc's own CA without it")
	}
	if u, err := url.Parse(t.ACMEDirectory); err != nil || u.Scheme != "https" || u.Host == "" {
		add("tls.acme_directory", "%q: write the https URL of the authority's directory", t.ACMEDirectory)
	}
	if t.ACMEListen != "" {
		checkAddress(add, "tls.acme_listen", t.ACMEListen)
	}
	for _, k := range []struct{ key, value string }{
		{"acme_email", t.ACMEEmail}, {"acme_listen", t.ACMEListen}, {"acme_ca_file", t.ACMECAFile},
	} {
		if k.value != "" && c.PublicName == "" {
			add("tls."+k.key, "does nothing without public_name, the name that a certificate is obtained for by ACME: set that too")
		}
	}
}

func (c Config) checkLink(add func(string, string, ...any)) {
	checkAddress(add, "cloudlink.listen", c.CloudLink.Listen)
	checkOrigin(add, "cloudlink.public_url", c.CloudLink.PublicURL)
	switch c.CloudLink.Driver {
	case "core":
		if c.CloudLink.File != "" {
			add("cloudlink.file", "is read by the driver file alone: set cloudlink.driver: file, or take it out (the users of the "+
				"driver core are those of telephony.directory)")
		}
	case "file":
		if c.CloudLink.File == "" {
			add("cloudlink.file", "the driver file needs a users file")
		}
	default:
		add("cloudlink.driver", "%q: use core or file", c.CloudLink.Driver)
	}
	if c.CloudLink.AccessTokenExpiryHours < 1 {
		add("cloudlink.access_token_expiry_hours", "%d: use 1 or more", c.CloudLink.AccessTokenExpiryHours)
	}
	if h := c.CloudLink.RefreshTokenExpiryHours; h <= c.CloudLink.AccessTokenExpiryHours || h > mostHours {
		add("cloudlink.refresh_token_expiry_hours", "%d: use more than access_token_expiry_hours (%d), up to %d", h,
			c.CloudLink.AccessTokenExpiryHours, mostHours)
	}
	checkOrigin(add, "connector.cloudlink_url", c.Connector.CloudLinkURL)
	for _, cidr := range c.Connector.AllowPrivate {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			add("connector.allow_private", "%q is not an address range: write it like 192.0.2.0/24", cidr)
		}
	}
	if c.Connector.SyncEvery < time.Second {
		add("connector.sync_every", "%s: use one second or more", c.Connector.SyncEvery)
	}
}

// anywhere reports whether a host to listen on means all addresses.
func anywhere(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func checkAddress(add func(string, string, ...any), key, address string) {
	_, port, err := net.SplitHostPort(address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || port != strconv.FormatUint(n, 10) {
		add(key, "%q is not an address: write it like 127.0.0.1:8443 or :8443", address)
	}
}

func checkOrigin(add func(string, string, ...any), key, text string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
		add(key, "%q: write https://host or https://host:port, without a path", text)
	}
}
