package directory

import (
	"strings"

	"demarc/cloudlink"
)

// The limits of a PBX's description, in seconds.
const (
	minExpires, defaultExpires, maxExpires = 60, 600, 86_400
	defaultKeepalive, maxKeepalive         = 25, 3600
)

// srtpPolicies say whether media is encrypted.
var srtpPolicies = []string{"required", "preferred", "off"}

// pbxRow is the description of the PBX as written.
type pbxRow struct {
	ID         string         `yaml:"id"`
	Type       string         `yaml:"type"`
	Domain     string         `yaml:"domain"`
	Realm      string         `yaml:"realm"`
	Registrars []registrarRow `yaml:"registrars"`
	SRTP       string         `yaml:"srtp"`
	Expires    int            `yaml:"registration_expires"` // seconds
	Keepalive  int            `yaml:"keepalive"`            // seconds
}

type registrarRow struct {
	Role      string `yaml:"role"`
	Host      string `yaml:"host"`
	Port      int    `yaml:"port"`
	Transport string `yaml:"transport"`
	Path      string `yaml:"path"` // wss alone
	Realm     string `yaml:"realm"`
}

// buildPBX checks what is written and takes the rest from the defaults.
func buildPBX(r pbxRow, at func(field string) position, defaults cloudlink.PBX, f *faults) cloudlink.PBX {
	p := cloudlink.PBX{
		PBXID:  first(r.ID, defaults.PBXID, "pbx"),
		Type:   oneOf(r.Type, at("type"), "type", f, first(defaults.Type, "generic"), "osv", "os4k", "mivb", "generic"),
		Domain: strings.ToLower(strings.TrimSuffix(first(r.Domain, defaults.Domain), ".")),
		SRTP:   oneOf(r.SRTP, at("srtp"), "srtp", f, first(defaults.SRTP, "preferred"), srtpPolicies...),

		RegistrationExpires: seconds(r.Expires, defaults.RegistrationExpires, defaultExpires),
		KeepaliveSeconds:    seconds(r.Keepalive, defaults.KeepaliveSeconds, defaultKeepalive),
		Registrars:          defaults.Registrars,
	}
	p.Realm = first(r.Realm, defaults.Realm, p.Domain)
	if !validHost(p.Domain) {
		f.add(at("domain"), "domain must be the SIP domain of the extensions, as in pbx.example.org")
	}
	if !printable(p.Realm) || len(p.Realm) > 200 || strings.ContainsAny(p.Realm, `"\`) {
		f.add(at("realm"), "realm must be at most 200 bytes of printable text without quotes and backslashes")
	}
	if !printable(p.PBXID) || len(p.PBXID) > 64 {
		f.add(at("id"), "id must be at most 64 bytes of printable text")
	}
	if p.RegistrationExpires < minExpires || p.RegistrationExpires > maxExpires {
		f.add(at("registration_expires"), "registration_expires must be %d to %d seconds", minExpires, maxExpires)
	}
	if p.KeepaliveSeconds < 1 || p.KeepaliveSeconds > maxKeepalive {
		f.add(at("keepalive"), "keepalive must be 1 to %d seconds", maxKeepalive)
	}
	if len(r.Registrars) > 0 {
		p.Registrars = buildRegistrars(r.Registrars, at("registrars"), f)
	}
	return p
}

func buildRegistrars(rows []registrarRow, at position, f *faults) []cloudlink.Registrar {
	built := make([]cloudlink.Registrar, 0, len(rows))
	for _, r := range rows {
		role := oneOf(r.Role, at, "registrars: role", f, "sbc", "sbc", "backup", "internal")
		transport := oneOf(r.Transport, at, "registrars: transport", f, "tls", "tls", "tcp", "udp", "wss")
		port := r.Port
		if port == 0 { // RFC 3261 §19.1.2, RFC 6455 §3
			port = map[string]int{"tls": 5061, "wss": 443}[transport]
		}
		if port == 0 {
			port = 5060
		}
		if r.Path != "" && (transport != "wss" || r.Path[0] != '/' || !printable(r.Path) || strings.ContainsAny(r.Path, " ?#")) {
			f.add(at, "registrars: path %q is for wss, and begins with /", r.Path)
		}
		if port < 1 || port > 65535 {
			f.add(at, "registrars: port %d is not 1 to 65535", port)
		}
		if !validHost(r.Host) {
			f.add(at, "registrars: host %q is not a host name or address", r.Host)
		}
		built = append(built, cloudlink.Registrar{
			Role: cloudlink.RegistrarRole(role), Host: r.Host, Port: port, Transport: transport, Path: r.Path, Realm: r.Realm,
		})
	}
	return built
}

// oneOf returns the value, or the default when it is not written.
func oneOf(value string, at position, field string, f *faults, standard string, allowed ...string) string {
	if value == "" {
		return standard
	}
	for _, a := range allowed {
		if strings.EqualFold(value, a) {
			return a
		}
	}
	f.add(at, "%s %q is unknown: use one of %s", field, value, strings.Join(allowed, ", "))
	return standard
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func seconds(values ...int) int {
	for _, v := range values {
		if v != 0 {
			return v
		}
	}
	return 0
}

// validHost accepts host names and IP addresses; IPv6 in brackets, as in a SIP URI.
func validHost(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for _, c := range []byte(s) {
		if !alphanumeric(c) && strings.IndexByte(".-_:[]", c) < 0 {
			return false
		}
	}
	return true
}
