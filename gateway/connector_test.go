package gateway_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"demarc/connector"
	"demarc/gateway"
)

// TestLostLinkDoesNotSwitchTheSync: phones go on with their credentials while a link has ended (the admin left), though
// another service is linked beside it.
func TestLostLinkDoesNotSwitchTheSync(t *testing.T) {
	at := func(name string, state connector.State, base string) connector.Connector {
		return connector.Connector{Name: name, State: state, BaseURL: base, CreatedAt: time.UnixMilli(int64(name[0]))}
	}
	const one, two = "https://one.test", "https://two.test"
	for name, test := range map[string]struct {
		all  []connector.Connector
		want string // names of the connectors, or what the error says
	}{
		"none":           {nil, "no phone system is connected yet: "},
		"unlinked":       {[]connector.Connector{at("a", connector.Unlinked, one)}, "no phone system is connected yet: "},
		"lost":           {[]connector.Connector{at("a", connector.NeedsAuth, one)}, "the authorisation has ended: an admin must connect again: "},
		"linked":         {[]connector.Connector{at("a", connector.Unlinked, two), at("b", connector.Linked, one)}, "b"},
		"two services":   {[]connector.Connector{at("b", connector.Linked, two), at("a", connector.Linked, one)}, "a b"},
		"one twice":      {[]connector.Connector{at("a", connector.Linked, one), at("b", connector.Linked, one), at("c", connector.Linked, two)}, "a c"},
		"lost beside":    {[]connector.Connector{at("a", connector.NeedsAuth, one), at("b", connector.Linked, two)}, "a b"},
		"lost behind":    {[]connector.Connector{at("a", connector.Linked, one), at("b", connector.NeedsAuth, two)}, "a b"},
		"lost, replaced": {[]connector.Connector{at("a", connector.NeedsAuth, one), at("b", connector.Linked, one)}, "b"},
	} {
		got, err := gateway.ToSync(test.all)
		if err != nil && (!errors.Is(err, connector.ErrReauthorize) || !strings.HasPrefix(err.Error(), test.want)) ||
			err == nil && names(got) != test.want {
			t.Errorf("%s: %q, %v; want %s", name, names(got), err, test.want)
		}
	}
}

func names(all []connector.Connector) string {
	list := make([]string, len(all))
	for i, c := range all {
		list[i] = c.Name
	}
	return strings.Join(list, " ")
}
