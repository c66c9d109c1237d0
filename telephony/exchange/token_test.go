package exchange

import (
	"strings"
	"testing"
	"time"

	"demarc/internal/account"
)

func TestTokensOpenForTheirOwnKeyAlone(t *testing.T) {
	ours, others := newTokens([]byte("one key of an installation")), newTokens([]byte("another key"))
	var d dice
	for _, acc := range []account.ID{"", "a", "acc_0123456789", account.ID(strings.Repeat("long", 20))} {
		at := place{call: d.callID(time.Now()), leg: 7}
		token := string(ours.seal(nil, acc, at))
		if gotAcc, got, ok := ours.open(token); !ok || gotAcc != acc || got != at {
			t.Fatalf("%q of %v opens as %q, %v, %t", token, at, gotAcc, got, ok)
		}
		if _, _, ok := others.open(token); ok {
			t.Error("a token of another key opens")
		}
		for i := range len(token) {
			for _, c := range "Aa0_" {
				forged := token[:i] + string(c) + token[i+1:]
				if _, _, ok := ours.open(forged); ok && forged != token {
					t.Errorf("%q opens, made of %q", forged, token)
				}
			}
			if _, _, ok := ours.open(token[:i]); ok {
				t.Errorf("the first %d characters of %q open", i, token)
			}
		}
	}
	for _, odd := range []string{"", "x", "!!", strings.Repeat("A", 256), strings.Repeat("A", 257)} {
		if _, _, ok := ours.open(odd); ok {
			t.Errorf("%q opens", odd)
		}
	}
}

// Rows of calls stand in the order of their ids, so that later ones must not come before earlier ones.
func TestCallIDsFollowTheTime(t *testing.T) {
	var d dice
	first := time.UnixMilli(1_790_000_000_000)
	before := d.callID(first)
	for n := range 100 {
		next := d.callID(first.Add(time.Duration(n+1) * time.Millisecond))
		if len(next) != 2*idSize || next <= before {
			t.Fatalf("%q follows %q", next, before)
		}
		if p, ok := placeOf(tag(place{next, 3}, 9)); !ok || p != (place{next, 3}) {
			t.Fatalf("the tag of %q is read as %v, %t", next, p, ok)
		}
		before = next
	}
}
