package registrar

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/registrar/compact"
	"demarc/telephony/registration"
)

var epoch = time.Unix(1_700_000_000, 0)

// drawBinding returns any binding; its times are such as the store keeps.
func drawBinding(t *rapid.T, aor telephony.AoR, key string) registration.Binding {
	text := rapid.SampledFrom([]string{"", "a", "sip:1001@10.0.0.1:5060", "ü\x01 long " + fmt.Sprint(key), strings.Repeat("long ", 500)})
	millis := rapid.Int64Range(-1e12, 1e12)
	refreshed := epoch.Add(time.Duration(millis.Draw(t, "refreshed")) * time.Millisecond)
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
		RegisteredAt: epoch.Add(time.Duration(millis.Draw(t, "registered")) * time.Millisecond), RefreshedAt: refreshed,
		Expires: refreshed.Add(time.Duration(rapid.Uint32().Draw(t, "lasts")) * time.Second), Row: rapid.Int64().Draw(t, "row"),
	}
	if rapid.Bool().Draw(t, "plain") {
		b.Contact, b.Q, b.RegID = rapid.SampledFrom([]string{"sips:", ""}).Draw(t, "scheme")+aor.User+"0@h", 1000, 0
	}
	if rapid.Bool().Draw(t, "usual") { // what contactKey makes of contact and instance
		b.Key = registration.ContactKey(registration.Contact{URI: b.Contact, Instance: b.Instance, RegID: b.RegID}, rapid.Bool().Draw(t, "outbound"))
	}
	return b
}

// TestLocationsAreWhatWasPut runs random histories beside a plain map.
func TestLocationsAreWhatWasPut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, model := newLocations(), map[telephony.AoR][]registration.Binding{}
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
			l.put(aor, bindings)
			if model[aor] = bindings; len(bindings) == 0 {
				delete(model, aor)
			}
			checkLocations(t, l, model)
		}
	})
}

func checkLocations(t *rapid.T, l *locations, model map[telephony.AoR][]registration.Binding) {
	seen, count := map[telephony.AoR]bool{}, 0
	for aor := range l.all() {
		if seen[aor] {
			t.Fatalf("%v is visited twice", aor)
		}
		seen[aor] = true
	}
	for aor, want := range model {
		if got := l.of(aor); !slices.Equal(got, want) {
			t.Fatalf("%v\nhas  %+v\nwant %+v", aor, got, want)
		}
		if !slices.Contains(l.sharing(l.hash(aor)), aor) {
			t.Fatalf("%v is not found by its hash", aor)
		}
		count += len(want)
	}
	if len(seen) != len(model) || l.len() != count {
		t.Fatalf("%d AoRs, %d bindings, want %d and %d", len(seen), l.len(), len(model), count)
	}
	commons := map[common]bool{}
	for next := uint32(1); next != 0; {
		var some []registration.Binding
		some, next = l.from(next)
		for _, b := range some {
			commons[common{b.Account, b.AoR.Domain, b.Node, b.Flow.Listener, b.Flow.Transport, b.Flow.Local, b.Flow.ID >> flowBits}] = true
			count--
		}
	}
	if count != 0 || l.commons.Len() != len(commons) {
		t.Fatalf("%d bindings were not visited; %d values are common to %d", count, l.commons.Len(), len(commons))
	}
}

func TestFlowUsers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, model := newFlowUsers(), map[uint64]map[uint64]bool{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			flow, user := rapid.Uint64Range(1, 3).Draw(t, "flow"), rapid.Uint64Range(1, 4).Draw(t, "user")
			if model[flow] == nil {
				model[flow] = map[uint64]bool{}
			}
			if rapid.Bool().Draw(t, "join") {
				f.join(flow, user)
				model[flow][user] = true
			} else {
				f.leave(flow, user)
				delete(model[flow], user)
			}
			got := f.of(flow)
			for _, u := range got {
				if !model[flow][u] {
					t.Fatalf("%d is still at the flow: %v", u, got)
				}
			}
			if len(got) != len(model[flow]) {
				t.Fatalf("%v, want %v", got, model[flow])
			}
		}
	})
}

// TestWalletKeepsSubscribers holds what is found beside what was kept.
func TestWalletKeepsSubscribers(t *testing.T) {
	w := newWallet(epoch, nil)
	var kept []Subscriber
	for i, algorithms := range [][]digest.Algorithm{{digest.MD5}, {digest.SHA256, digest.MD5}, {digest.SHA512256}, nil} {
		s := Subscriber{Account: "acc_1", AoR: telephony.NewAoR(fmt.Sprint(i), "d"), AuthUsername: fmt.Sprint("auth", i), SRTP: "off"}
		if i == 0 {
			s.AuthUsername, s.SRTP = s.AoR.User, ""
		}
		for j, a := range algorithms {
			s.Hashes = append(s.Hashes, digest.NewHash(a, s.AuthUsername, fmt.Sprint("realm", j), "pw"))
		}
		kept = append(kept, s)
	}
	odd := kept[0]
	odd.AoR.Domain, odd.Hashes = "e", []digest.Hash{{Algorithm: digest.MD5, Realm: "realm0", HA1: "NOT HEX"}}
	for _, s := range append(kept, odd) {
		w.keep(s, epoch.Add(time.Second), "realm0")
	}
	for _, s := range append(kept, odd) {
		e, ok := w.find(s.AoR)
		if !ok || !e.found || e.subscriber.AuthUsername != s.AuthUsername || e.subscriber.AoR != s.AoR || e.subscriber.SRTP != s.SRTP ||
			e.subscriber.Account != s.Account || !slices.Equal(hashesIn(&e), s.Hashes) || !e.read.Equal(epoch.Add(time.Second)) {
			t.Errorf("%+v, want %+v", e, s)
		}
		for _, h := range s.Hashes {
			if found, ok := e.hash(h.Algorithm, h.Realm); !ok || asText(found) != h {
				t.Errorf("the hash of %s in %s of %s: %t", h.Algorithm, h.Realm, s.AoR, ok)
			}
			if raw, err := hex.DecodeString(h.HA1.Reveal()); err == nil && strings.Contains(fmt.Sprintf("%v %+v", e, e), string(raw)) {
				t.Error("an HA1 is printed with its entry")
			}
		}
		if _, ok := e.hash(digest.MD5, "another"); ok {
			t.Error("a hash of a realm that there is none of")
		}
	}
	if all := fmt.Sprintf("%v %+v", w, w); strings.Contains(all, "auth1") || strings.Contains(all, "NOT HEX") {
		t.Error("what is kept is printed with the wallet")
	}
	for range 3 { // again, in the place of itself
		w.keep(odd, epoch.Add(time.Second), "realm0")
	}
	if n := w.homes.Len(); n != 3 {
		t.Errorf("the subscribers have %d houses", n)
	}
	w.remove(kept[0].AoR)
	if n := w.homes.Len(); n != 2 {
		t.Errorf("%d houses are left", n)
	}
	if _, ok := w.find(kept[0].AoR); ok {
		t.Error("a removed subscriber is found")
	}
	if _, ok := w.find(odd.AoR); !ok {
		t.Error("one of another domain went along")
	}
}

// Hashes that nobody is asked for are not kept, and the others are.
func TestWalletKeepsWhatIsOffered(t *testing.T) {
	w := newWallet(epoch, []digest.Algorithm{digest.SHA256})
	s := Subscriber{Account: "acc_1", AoR: telephony.NewAoR("1", "d"), AuthUsername: "1"}
	for _, a := range algorithms {
		s.Hashes = append(s.Hashes, digest.NewHash(a, "1", "d", "pw"))
	}
	w.keep(s, epoch, "d")
	e, ok := w.find(s.AoR)
	if !ok || !slices.Equal(hashesIn(&e), []digest.Hash{digest.NewHash(digest.SHA256, "1", "d", "pw")}) {
		t.Errorf("%v %+v", ok, e.subscriber)
	}
}

// hashesIn returns all hashes that the wallet knows of a subscriber, with their HA1 as text.
func hashesIn(e *entry) (all []digest.Hash) {
	for r := (compact.Reader{Rest: e.hashes.Text()[e.begin:]}); r.Rest != ""; {
		all = append(all, asText(readHash(&r, e.realm)))
	}
	return all
}

func asText(h digest.Hash) digest.Hash {
	if h.Bytes != "" {
		h.HA1, h.Bytes = account.Secret(hex.EncodeToString([]byte(h.Bytes.Reveal()))), ""
	}
	return h
}

// TestManyPhonesTakeLittleMemory is the promise of docs/performance.md, for what the registrar itself holds of them.
func TestManyPhonesTakeLittleMemory(t *testing.T) {
	const phones, most = 50_000, 240 // bytes for each
	before := heapInUse()
	l, w, a := newLocations(), newWallet(epoch, nil), compact.NewAlarm(epoch)
	for i := range phones {
		user := fmt.Sprint(100_000 + i)
		aor := telephony.AoR{User: user, Domain: "perf.example"}
		contact := "sip:" + user + "@192.168.100.200:50600"
		b := registration.Binding{
			Account: "acc_1", Node: "n1", AoR: aor, Key: registration.ContactKey(registration.Contact{URI: contact}, false), Contact: contact, Q: 1000,
			CallID: "0123456789abcdef@" + user, CSeq: 1e6, UserAgent: "Desk Phone 1.2.3", RegisteredAt: epoch, RefreshedAt: epoch,
			Expires: epoch.Add(time.Hour), Reachable: true,
			Flow: telephony.Flow{Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("192.168.100.200:50600")},
		}
		l.put(aor, []registration.Binding{b})
		for slot := range l.slots(aor) {
			a.At(slot, b.Expires)
		}
		w.keep(Subscriber{Account: "acc_1", AoR: aor, AuthUsername: user,
			Hashes: []digest.Hash{digest.NewHash(digest.MD5, user, "perf.example", "pw")}}, epoch, "perf.example")
	}
	each := (heapInUse() - before) / phones
	t.Logf("%d bytes for each phone", each)
	if l.len() != phones || w.slab.Len() != phones || each > most {
		t.Errorf("%d bytes for each of %d phones, at most %d", each, phones, most)
	}
	runtime.KeepAlive(l)
	runtime.KeepAlive(w)
	runtime.KeepAlive(a)
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
