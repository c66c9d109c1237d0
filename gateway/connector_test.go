package gateway_test

import (
	"errors"
	"strings"
	"testing"

	"demarc/connector"
	"demarc/gateway"
)

// TestLostLinkDoesNotSwitchTheSync: phones go on with their credentials while a link has ended (the admin left), though
// another service is linked beside it.
func TestLostLinkDoesNotSwitchTheSync(t *testing.T) {
	at := func(name string, state connector.State, base string) connector.Connector {
		return connector.Connector{Name: name, State: state, BaseURL: base}
	}
	const one, two = "https://one.test", "https://two.test"
	for name, test := range map[string]struct {
		all  []connector.Connector
		want string // name of the connector, or what the error says
	}{
		"none":           {nil, "connect the phone system first"},
		"unlinked":       {[]connector.Connector{at("a", connector.Unlinked, one)}, "connect the phone system first"},
		"lost":           {[]connector.Connector{at("a", connector.NeedsAuth, one)}, "connect the phone system first"},
		"linked":         {[]connector.Connector{at("a", connector.Unlinked, two), at("b", connector.Linked, one)}, "b"},
		"lost beside":    {[]connector.Connector{at("a", connector.NeedsAuth, one), at("b", connector.Linked, two)}, `connect "a" again`},
		"lost behind":    {[]connector.Connector{at("a", connector.Linked, one), at("b", connector.NeedsAuth, two)}, `connect "b" again`},
		"lost, replaced": {[]connector.Connector{at("a", connector.NeedsAuth, one), at("b", connector.Linked, one)}, "b"},
	} {
		got, err := gateway.ToSync(test.all)
		if err != nil && (!errors.Is(err, connector.ErrReauthorize) || !strings.Contains(err.Error(), test.want)) ||
			err == nil && got.Name != test.want {
			t.Errorf("%s: %q, %v; want %s", name, got.Name, err, test.want)
		}
	}
}
