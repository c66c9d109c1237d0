package location

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/registration"
)

var start = time.Unix(1_700_000_000, 0)

// drawBinding returns any binding; its times are such as the store keeps.
func drawBinding(t *rapid.T, aor telephony.AoR, key string) registration.Binding {
	text := rapid.SampledFrom([]string{"", "a", "sip:1001@10.0.0.1:5060", "ü\x01 long " + fmt.Sprint(key), strings.Repeat("long ", 500)})
	millis := rapid.Int64Range(-1e12, 1e12)
	refreshed := start.Add(time.Duration(millis.Draw(t, "refreshed")) * time.Millisecond)
	b := registration.Binding{
		Account: account.ID(text.Draw(t, "account")), Node: text.Draw(t, "node"), AoR: aor, Key: key,
		Contact: text.Draw(t, "contact"), Instance: text.Draw(t, "instance"), RegID: rapid.IntRange(0, 1<<31).Draw(t, "reg-id"),
		Q: rapid.IntRange(0, 1000).Draw(t, "q"), CallID: text.Draw(t, "call"), CSeq: rapid.Uint32().Draw(t, "cseq"),
		Flow: telephony.Flow{ID: rapid.Uint64().Draw(t, "flow"), Listener: text.Draw(t, "listener"),
			Transport: rapid.SampledFrom([]telephony.Transport{telephony.UDP, telephony.TLS, telephony.WSS}).Draw(t, "transport"),
			Remote: rapid.SampledFrom([]netip.AddrPort{{}, netip.MustParseAddrPort("10.0.0.1:5060"),
				netip.MustParseAddrPort("[2001:db8::1]:65535"), netip.MustParseAddrPort("[fe80::1%eth0]:1")}).Draw(t, "remote"),
			Local: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("2001:db8::9")}).Draw(t, "local")},
		Path: text.Draw(t, "path"), Reachable: rapid.Bool().Draw(t, "reachable"), UserAgent: text.Draw(t, "agent"),
		RegisteredAt: start.Add(time.Duration(millis.Draw(t, "registered")) * time.Millisecond), RefreshedAt: refreshed,
		Expires: refreshed.Add(time.Duration(rapid.Uint32().Draw(t, "lasts")) * time.Second), Row: rapid.Int64().Draw(t, "row"),
	}
	if rapid.Bool().Draw(t, "plain") {
		b.Contact, b.Q, b.RegID = rapid.SampledFrom([]string{"sips:", ""}).Draw(t, "scheme")+aor.User+"0@h", 1000, 0
	}
	if rapid.Bool().Draw(t, "usual") { // what registration.ContactKey makes of contact and instance
		b.Key = registration.ContactKey(registration.Contact{URI: b.Contact, Instance: b.Instance, RegID: b.RegID}, rapid.Bool().Draw(t, "outbound"))
	}
	return b
}

// TestLocationsAreWhatWasPut runs random histories beside a plain map.
func TestLocationsAreWhatWasPut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, model := New(), map[telephony.AoR][]registration.Binding{}
		agents := rapid.IntRange(0, 2*maxAgents).Draw(t, "agents")
		for i := range agents {
			l.agents.number(fmt.Sprint("agent ", i))
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			aor := telephony.AoR{User: fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "user")),
				Domain: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "domain")}
			var bindings []registration.Binding
			for i := range rapid.IntRange(0, 3).Draw(t, "bindings") {
				bindings = append(bindings, drawBinding(t, aor, fmt.Sprint("key ", i)))
			}
			l.Put(aor, bindings)
			if model[aor] = bindings; len(bindings) == 0 {
				delete(model, aor)
			}
			checkLocations(t, l, model)
		}
	})
}

func checkLocations(t *rapid.T, l *Service, model map[telephony.AoR][]registration.Binding) {
	seen, count := map[telephony.AoR]bool{}, 0
	for aor := range l.All() {
		if seen[aor] {
			t.Fatalf("%v is visited twice", aor)
		}
		seen[aor] = true
	}
	for aor, want := range model {
		if got := l.Of(aor); !slices.Equal(got, want) {
			t.Fatalf("%v\nhas  %+v\nwant %+v", aor, got, want)
		}
		if !slices.Contains(l.Sharing(l.Hash(aor)), aor) {
			t.Fatalf("%v is not found by its hash", aor)
		}
		count += len(want)
	}
	if len(seen) != len(model) || l.Len() != count {
		t.Fatalf("%d AoRs, %d bindings, want %d and %d", len(seen), l.Len(), len(model), count)
	}
	commons := map[common]bool{}
	for next := uint32(1); next != 0; {
		var some []registration.Binding
		some, next = l.From(next)
		for _, b := range some {
			commons[common{b.Account, b.AoR.Domain, b.Node, b.Flow.Listener, b.Flow.Transport, b.Flow.Local, b.Flow.ID >> flowBits}] = true
			count--
		}
	}
	if count != 0 || l.commons.Len() != len(commons) {
		t.Fatalf("%d bindings were not visited; %d values are common to %d", count, l.commons.Len(), len(commons))
	}
}
