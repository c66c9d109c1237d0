package registrar

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/registrar/compact"
	"demarc/telephony/registrar/location"
	"demarc/telephony/registration"
)

// TestManyPhonesTakeLittleMemory is the promise of docs/performance.md, for what the registrar itself holds of them.
func TestManyPhonesTakeLittleMemory(t *testing.T) {
	const phones, most = 50_000, 240 // bytes for each
	before := heapInUse()
	l, w, a := location.New(), newWallet(epoch, nil), compact.NewAlarm(epoch)
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
		w.keep(Subscriber{Account: "acc_1", AoR: aor, AuthUsername: user,
			Hashes: []digest.Hash{digest.NewHash(digest.MD5, user, "perf.example", "pw")}}, epoch, "perf.example")
	}
	each := (heapInUse() - before) / phones
	t.Logf("%d bytes for each phone", each)
	if l.Len() != phones || w.slab.Len() != phones || each > most {
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
