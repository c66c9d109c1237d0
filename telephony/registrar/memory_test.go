package registrar

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"demarc/internal/compact"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/registrar/location"
	"demarc/telephony/registration"
)

// everybody is a directory in which everybody is.
type everybody struct{ domain string }

func (e everybody) Domains(context.Context) (map[string]authentication.Domain, error) {
	return map[string]authentication.Domain{e.domain: {Account: "acc_1", Realm: e.domain}}, nil
}

func (everybody) Subscriber(_ context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	return authentication.Subscriber{Account: "acc_1", AoR: aor, AuthUsername: aor.User,
		Hashes: []digest.Hash{digest.NewHash(digest.MD5, aor.User, aor.Domain, "pw")}}, nil
}

func (everybody) Version(context.Context) (int64, error) { return 1, nil }

// TestManyPhonesTakeLittleMemory is the promise of docs/performance.md, for what the registrar itself holds of them.
func TestManyPhonesTakeLittleMemory(t *testing.T) {
	const phones, most = 50_000, 240 // bytes for each
	epoch := time.Unix(1_700_000_000, 0)
	before := heapInUse()
	l, a := location.New(), compact.NewAlarm(epoch)
	senders := authentication.New(authentication.Config{Directory: everybody{"perf.example"}, Timeout: time.Minute, Away: func() error { return nil },
		Now: func() time.Time { return epoch }})
	if err := senders.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
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
		l.Put(aor, []registration.Binding{b})
		for slot := range l.Slots(aor) {
			a.At(slot, b.Expires)
		}
		if _, err := senders.Subscriber(t.Context(), aor); err != nil {
			t.Fatal(err)
		}
	}
	each := (heapInUse() - before) / phones
	t.Logf("%d bytes for each phone", each)
	if l.Len() != phones || each > most {
		t.Errorf("%d bytes for each of %d phones, at most %d", each, phones, most)
	}
	for i := range phones {
		if s, sure := senders.SubscriberAtOnce(telephony.AoR{User: fmt.Sprint(100_000 + i), Domain: "perf.example"}); !sure || s.Account == "" {
			t.Fatalf("phone %d is not in memory", i)
		}
	}
	runtime.KeepAlive(l)
	runtime.KeepAlive(senders)
	runtime.KeepAlive(a)
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
