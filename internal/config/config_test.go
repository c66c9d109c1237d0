package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"demarc/internal/config"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "demarc.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileThenEnvironment(t *testing.T) {
	path := file(t, "name: gw.example.org\nhttp:\n  listen: 127.0.0.1:1\ntelephony:\n  min_expires: 90s\n")
	e, err := config.Load(path, []string{"DEMARC_HTTP_LISTEN=127.0.0.1:2", "DEMARC_ROLES=telephony", "HOME=/x",
		"DEMARC_CONNECTOR_SYNC_EVERY=2m"})
	if err != nil {
		t.Fatal(err)
	}
	c := e.Config
	if c.Name != "gw.example.org" || c.HTTP.Listen != "127.0.0.1:2" || c.Telephony.MinExpires != 90*time.Second ||
		len(c.Roles) != 1 || !c.Has(config.RoleTelephony) || c.Connector.SyncEvery != 2*time.Minute {
		t.Errorf("effective: %+v", c)
	}
	if e.Sources["name"] != config.FromFile || e.Sources["http.listen"] != config.FromEnvironment ||
		e.Sources["http.metrics"] != "" {
		t.Errorf("sources: %v", e.Sources)
	}
}

// A node's name stands in SIP URIs, their parameters, certificates and logs.
func TestNodeNames(t *testing.T) {
	for name, good := range map[string]bool{
		"node-1": true, "a": true, "7": true, "pbx.Berlin.example": true, strings.Repeat("n", 64): true, "my_node": true,
		"": false, strings.Repeat("n", 65): false, "-node": false, "node-": false, ".node": false, "node.": false, "a..b": false, "a.-b": false,
		"a b": false, "a@b": false, "a;lr": false, "a>b": false, "a<b": false, "a,b": false, "a?b": false, "a:5060": false, "[::1]": false, "a/b": false,
		"a%40b": false, "a\"b": false, "a\\b": false, "a=b": false, "a&b": false, "a+b": false, "a'b": false, "a\r\nb": false, "a\x00b": false, "nœud": false,
		"a#b": false, "a$b": false, "a!b": false, "a*b": false, "a(b)": false, "a|b": false, "~a": false, "a\tb": false,
	} {
		for listen, alone := range map[string]bool{"": true, "127.0.0.1:5071": false} {
			_, err := config.Load(file(t, "store: {url: 'postgres:///demarc'}\n"),
				[]string{"DEMARC_TELEPHONY_NODE=" + name, "DEMARC_TELEPHONY_INTERNAL_LISTEN=" + listen})
			want := good && (alone || name != "my_node")
			if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "telephony.node: ") {
				t.Errorf("%q, alone %t: %v", name, alone, err)
			}
		}
	}
}

func TestFaultsSayWhere(t *testing.T) {
	for _, c := range []struct{ name, text, env, want string }{
		{"unknown key", "name: x.example\nhttp:\n  lisen: 1\n", "", ":3:3: unknown field"},
		{"unknown top key", "nmae: x\n", "", ":1:1: unknown field"},
		{"wrong type", "http: 3\n", "", ":1:7: "},
		{"bad duration", "connector:\n  sync_every: soon\n", "", ":2:15: "},
		{"half a call", "telephony:\n  calls:\n    node_limit: 1.5\n", "", ":3:17: telephony.calls.node_limit: \"1.5\" is not a whole number"},
		{"no number", "telephony:\n  trace_memory: lots\n", "", ":2:17: telephony.trace_memory: \"lots\" is not a whole number"},
		{"a list of one", "http:\n  listen: [x]\n", "", ":2:11: http.listen: write one text"},
		{"a secret in a mapping", "store:\n  url: {canary: x}\n", "", "store.url: write one text"},
		{"bad value", "log:\n  level: loud\n", "", ":2:10: log.level: \"loud\": use debug"},
		{"bad role", "roles: [telephony, push2]\n", "", "roles: unknown role \"push2\""},
		{"bad listener", "telephony:\n  listeners:\n  - {name: a, transport: sctp, address: 1.2.3.4:5}\n", "", ":3:5: telephony.listeners[0]: transport"},
		{"listener path", "telephony:\n  listeners:\n  - {name: a, transport: wss, address: ':5', path: sip}\n", "", "begin it with /"},
		{"origin of udp", "telephony:\n  listeners:\n  - {name: a, transport: udp, address: ':5', origins: [x]}\n", "", "are for ws and wss"},
		{"bad origin", "telephony:\n  listeners:\n  - {name: a, transport: ws, address: ':5', origins: ['[']}\n", "", "write a host"},
		{"old TLS", "telephony:\n  listeners:\n  - {name: a, transport: tls, address: ':5', tls_min: '1.1'}\n", "", "older ones are broken"},
		{"call authentication", "telephony:\n  listeners:\n  - {name: a, transport: udp, address: ':5', call_authentication: never}\n", "",
			"use always or registered"},
		{"TLS of udp", "telephony:\n  listeners:\n  - {name: a, transport: udp, address: ':5', tls_policy: aes256}\n", "", "are for tls and wss"},
		{"aes256 and 1.3", "telephony:\n  listeners:\n  - {name: a, transport: tls, address: ':5', tls_policy: aes256, tls_max: '1.3'}\n", "", "take 1.3"},
		{"key exchange", "telephony:\n  listeners:\n  - {name: a, transport: tls, address: ':5', tls_key_exchange: quantum}\n", "", "classical or hybrid"},
		{"weak suite", "telephony:\n  listeners:\n  - {name: a, transport: tls, address: ':5', tls_suites: [TLS_RSA_WITH_RC4_128_SHA]}\n", "", "no cipher suite"},
		{"advertise", "telephony:\n  listeners:\n  - {name: a, transport: tls, address: ':5', advertise: ':5061'}\n", "", "as phones see it"},
		{"media", "telephony:\n  listeners:\n  - {name: a, transport: tls, address: ':5', advertise_media: '192.0.2.1:5'}\n", "", "an IP address, or a DNS name"},
		{"video", "telephony:\n  media:\n    video: maybe\n", "", "use relay or refuse"},
		{"media as address", "telephony:\n  listeners:\n  - {name: a, transport: tls, address: ':5', advertise_media: 192.0.2.300}\n", "", "an IP address, or a DNS name"},
		{"shares nothing", "telephony:\n  listeners:\n  - {name: a, transport: wss, shares: b}\n", "", "there is no tls listener of that name"},
		{"shares another kind", "telephony:\n  listeners:\n  - {name: b, transport: tcp, address: ':5'}\n  - {name: a, transport: wss, shares: b}\n", "", "there is no tls listener"},
		{"shares as udp", "telephony:\n  listeners:\n  - {name: a, transport: udp, shares: b}\n", "", "shares is for wss"},
		{"shares and address", "telephony:\n  listeners:\n  - {name: b, transport: tls, address: ':5'}\n  - {name: a, transport: wss, shares: b, address: ':6'}\n", "", "take address out"},
		{"shares and policy", "telephony:\n  listeners:\n  - {name: b, transport: tls, address: ':5'}\n  - {name: a, transport: wss, shares: b, tls_min: '1.3'}\n", "", "set them there"},
		{"shared twice", "telephony:\n  listeners:\n  - {name: b, transport: tls, address: ':5'}\n  - {name: a, transport: wss, shares: b}\n  - {name: c, transport: wss, shares: b}\n", "", "only one listener"},
		{"key alone", "tls:\n  key_file: x\n", "", "go together"},
		{"file and ACME", "public_name: a.example\ntls:\n  key_file: x\n  certificate_file: y\n", "", "set one of the two"},
		{"public name", "public_name: localhost\n", "", "the internet could know"},
		{"CA of nothing", "tls:\n  ca_file: x\n", "", "belongs to"},
		{"ACME over HTTP", "tls:\n  acme_directory: http://a.example/dir\n", "", "https URL"},
		{"no admission", "telephony:\n  limits:\n    admission: 0\n", "", "telephony.limits.admission: 0: use 1 to 1073741824"},
		{"node nowhere", "store: {url: 'postgres://h/d'}\ntelephony: {internal_listen: ':5070'}\n", "", "by which one other nodes reach it"},
		{"node on one disk", "telephony: {internal_listen: '127.0.0.1:5070'}\n", "", "several nodes need PostgreSQL"},
		{"limitless", "telephony:\n  limits:\n    guesses: 99999999999\n", "", "telephony.limits.guesses: 99999999999: use 1 to 1073741824"},
		{"tokens for ever", "cloudlink:\n  refresh_token_expiry_hours: 99999999999\n", "", ":2:31: cloudlink.refresh_token_expiry_hours: 99999999999: use more"},
		{"no port", "http:\n  listen: 127.0.0.1:99999\n", "", ":2:11: http.listen: \"127.0.0.1:99999\" is not an address"},
		{"port by name", "", "DEMARC_HTTP_METRICS=127.0.0.1:http", "DEMARC_HTTP_METRICS: http.metrics"},
		{"ACME for nobody", "tls:\n  acme_email: a@a.example\n", "", ":2:15: tls.acme_email: does nothing without public_name"},
		{"file of another driver", "cloudlink:\n  file: x.yaml\n", "", ":2:9: cloudlink.file: is read by the driver file alone"},
		{"advertised nowhere", "telephony:\n  internal_advertise: 192.0.2.1:5070\n", "", "does nothing without telephony.internal_listen"},
		{"no window", "telephony:\n  limits:\n    window: 10ms\n", "", "use 1s or more"},
		{"no ringing", "telephony:\n  calls:\n    ring: 1s\n", "", "telephony.calls.ring: 1s: use 5s to 10m"},
		{"no calls", "telephony:\n  calls:\n    user_limit: 0\n", "", "telephony.calls.user_limit: 0: use 1 to 1073741824"},
		{"half encrypted", "telephony:\n  calls:\n    encryption: half\n", "", "use required, preferred or off"},
		{"short session", "telephony:\n  calls:\n    session_expires: 60s\n", "", "use 90s to 24h"},
		{"address name", "name: 192.0.2.1\n", "", "not a DNS name"},
		{"broken YAML", "name: [\n", "", "demarc.yaml:"},
		{"unknown variable", "", "DEMARC_HTPP_LISTEN=x", "DEMARC_HTPP_LISTEN names no key"},
		{"bad variable", "", "DEMARC_STORE_CONNECTIONS=many", "not a whole number"},
		{"bad value in variable", "", "DEMARC_LOG_LEVEL=loud", "DEMARC_LOG_LEVEL: log.level"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := config.Load(file(t, c.text), []string{c.env})
			if !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("err = %v\nwant %q", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestEmptyFileIsTheDefault(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n"} {
		e, err := config.Load(file(t, text), nil)
		if err != nil || e.Config.HTTP.Listen != config.Default().HTTP.Listen {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOnePortForPhonesAndBrowsers(t *testing.T) {
	e, err := config.Load(file(t, "telephony:\n  listeners:\n  - {name: web, transport: wss, shares: safe}\n"+
		"  - {name: safe, transport: tls, address: '192.0.2.1:443', advertise_media: media.example.org}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if all := e.Config.Telephony.Listeners; all[0].Shares != "safe" || all[1].Media != "media.example.org" {
		t.Errorf("%+v", all)
	}
}

func TestExplainIsAFileAndHidesSecrets(t *testing.T) {
	e, err := config.Load("", []string{"DEMARC_STORE_URL=postgres://u:canary@h/d", "DEMARC_CONNECTOR_CLIENT_SECRET=canary"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := e.Explain(&out); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "canary") || !strings.Contains(out.String(), "***") {
		t.Errorf("secrets: %s", out.String())
	}
	plain, err := config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := plain.Explain(&out); err != nil {
		t.Fatal(err)
	}
	again, err := config.Load(file(t, out.String()), nil)
	if err != nil {
		t.Fatalf("the explained configuration cannot be loaded: %v\n%s", err, out.String())
	}
	if len(again.Config.Telephony.Listeners) != 3 || again.Config.Telephony.MaxExpires != time.Hour {
		t.Errorf("round trip: %+v", again.Config.Telephony)
	}
}

func TestExplainNamesVariablesThatWork(t *testing.T) {
	e, err := config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	var table, explained strings.Builder
	if err := errors.Join(config.Table(&table), e.Explain(&explained)); err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsFuncSeq(table.String()+explained.String(), func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') }) {
		if !strings.HasPrefix(name, "DEMARC_") {
			continue
		}
		if _, err := config.Load("", []string{name + "=x"}); err != nil && strings.Contains(err.Error(), "in the file only") {
			t.Errorf("%s is told, and does nothing: %v", name, err)
		}
	}
}
