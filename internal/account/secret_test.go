package account_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"demarc/internal/account"
)

func TestSecretNeverPrints(t *testing.T) {
	const value = "hunter2-canary"
	s := account.Secret(value)
	holder := struct{ S account.Secret }{s}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "holder", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "holder", holder)
	encoded, err := json.Marshal(map[string]any{"s": s, "holder": holder, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	out := log.String() + string(encoded) +
		fmt.Sprintf("%v %s %q %x %X %d %+v %#v %v", s, s, s, s, s, s, holder, holder, &holder)
	if strings.Contains(out, value) || strings.Contains(out, fmt.Sprintf("%x", value)) {
		t.Fatalf("a secret was printed: %s", out)
	}
	if !strings.Contains(out, "***") {
		t.Fatalf("nothing marks the secret: %s", out)
	}
	if s.Reveal() != value {
		t.Fatal("Reveal lost the value")
	}
}

func TestNewIDIsUnique(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := account.NewID("acc")
		if !strings.HasPrefix(id, "acc_") || len(id) != 20 || seen[id] {
			t.Fatalf("bad or repeated id %q", id)
		}
		seen[id] = true
	}
}
