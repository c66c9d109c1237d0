package registration

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"demarc/telephony"
)

// udpFlowTimer is what NATs give a UDP flow: keep-alives come more often than every 30 s (RFC 5626 §4.4.2).
const udpFlowTimer = 29 * time.Second

// extensions holds a REGISTER against Path (RFC 3327), outbound (RFC 5626 §6) and push (RFC 8599 §5.6.1).
func (t *turn) extensions() *refusal {
	proxy := within(t.rules.Proxies, t.req.Flow.Remote.Addr())
	switch {
	case proxy:
		t.path, t.pushers = strings.Join(t.req.Path, ", "), t.req.Pushers
	case t.req.PathAsked: // else a Path from a stranger is passed over, and its absence in the 200 says so
		return &refusal{Reply{Status: 420, Unknown: "path"}, BadExtension,
			"The REGISTER came with a Path from " + t.req.Flow.Remote.Addr().String() + ", which is no proxy of ours. " +
				"Add the proxy's address to telephony.proxies."}
	}
	if len(t.path) > maxPath || !storable(t.path) {
		return &refusal{Reply{Status: 400, Reason: "Path Too Long"}, BadRequest, "The proxies' Path is too long."}
	}
	if t.req.Proxied && t.wantsOutbound() && !(proxy && firstHopKnowsOutbound(t.req.Path)) {
		return &refusal{Reply{Status: 439}, NoFirstHop, t.noFirstHop(proxy)}
	}
	return t.push()
}

// noFirstHop says why a phone's flow cannot be kept apart. A Path that is not believed leads to no flow either.
func (t *turn) noFirstHop(proxy bool) string {
	if !proxy {
		return "The phone asks for connections of its own (RFC 5626), but came through " + t.req.Flow.Remote.Addr().String() +
			", which is no proxy of ours. Add the proxy's address to telephony.proxies, or turn outbound off in the phone."
	}
	return "The phone asks for connections of its own (RFC 5626), but the proxy in front of it does not support that. " +
		"Turn outbound off in the phone, or on in the proxy."
}

// maxPath bounds what the proxies of one binding may put into the store, in bytes.
const maxPath = 2048

func within(ranges []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (t *turn) wantsOutbound() bool {
	return slices.ContainsFunc(t.req.Contacts, func(c Contact) bool {
		return c.flow(t.req) > 0 && !c.ends(t.req)
	})
}

// firstHopKnowsOutbound looks for ;ob in the Path value of the proxy next to the phone: the last one (RFC 5626 §5.1).
func firstHopKnowsOutbound(path []string) bool {
	if len(path) == 0 {
		return false
	}
	uri, _, _ := strings.Cut(path[len(path)-1], ">")
	for parameter := range strings.SplitSeq(uri, ";") {
		if name, _, _ := strings.Cut(parameter, "="); strings.EqualFold(strings.TrimSpace(name), "ob") {
			return true
		}
	}
	return false
}

// push refuses a provider that is served neither here nor by a proxy in between, when somebody counts on it: there are
// providers here, or the phone only asks (RFC 8599 §5.6.1). A phone that sends its parameters everywhere registers all the same.
func (t *turn) push() *refusal {
	for _, c := range t.req.Contacts {
		if c.ends(t.req) || !asksForPush(c.URI) {
			continue
		}
		p, fault := ParsePush(c.URI)
		if fault != "" || p.Provider == "" || slices.Contains(t.rules.Push, p.Provider) || slices.Contains(t.pushers, p.Provider) {
			continue
		}
		if len(t.rules.Push) > 0 || !p.Wakes() {
			return &refusal{Reply{Status: 555}, NoPush,
				"The phone wants to be woken by " + clip(p.Provider, 32) + ", which is not served here. " +
					"Configure that push provider, or turn push off in the phone."}
		}
	}
	return nil
}

// pushServed is what the 200 promises: the provider that a contact named, unless a proxy in between serves it, who says so itself.
func (t *turn) pushServed() []string {
	var served []string
	for _, c := range t.req.Contacts {
		if len(t.rules.Push) == 0 || !asksForPush(c.URI) {
			continue
		}
		p, fault := ParsePush(c.URI)
		if fault != "" {
			continue
		}
		for _, provider := range t.rules.Push {
			asked := p.Provider == provider || p.Provider == "" // it asks for all that there are
			if asked && !slices.Contains(t.pushers, provider) && !slices.Contains(served, provider) {
				served = append(served, provider)
			}
		}
	}
	return served
}

// tellPush says in the user's timeline why a phone will not be woken: it is registered, and will miss calls when asleep.
func (t *turn) tellPush(b Binding) {
	if !asksForPush(b.Contact) {
		return
	}
	_, fault := ParsePush(b.Contact)
	if fault == "" {
		return
	}
	c := b.Change(telephony.PushMalformed, t.now)
	c.Text = "A push cannot wake this phone: " + fault + ". Update the softphone, or sign in on it again."
	t.changes = append(t.changes, c)
}

func (r *Rules) flowTimer(f telephony.Flow) int {
	timer := r.FlowTimer
	if !f.Transport.Stream() {
		timer = min(timer, udpFlowTimer)
	}
	return int(timer / time.Second)
}
