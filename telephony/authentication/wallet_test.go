package authentication

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/internal/compact"
	"demarc/telephony"
	"demarc/telephony/digest"
)

var epoch = time.Unix(1_700_000_000, 0)

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
