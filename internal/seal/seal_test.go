package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"demarc/internal/seal"
	"demarc/internal/seal/sealtest"
)

func TestSealOpensOnlyAtItsPlace(t *testing.T) {
	s := sealtest.New(t)
	place := seal.AAD{Account: "a", Table: "t", Column: "c", Row: "r"}
	sealed, err := s.Seal(place, "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("hunter2")) {
		t.Fatal("the sealed value shows the secret")
	}
	got, err := s.Open(place, sealed)
	if err != nil || got.Reveal() != "hunter2" {
		t.Fatalf("Open = %q, %v", got.Reveal(), err)
	}
	for _, other := range []seal.AAD{{"b", "t", "c", "r"}, {"a", "u", "c", "r"}, {"a", "t", "d", "r"}, {"a", "t", "c", "s"},
		{"at", "", "c", "r"}, {"", "at", "c", "r"}} {
		if _, err := s.Open(other, sealed); !errors.Is(err, seal.ErrWrongKey) {
			t.Errorf("opened at %+v: %v", other, err)
		}
	}
	if _, err := sealtest.New(t).Open(place, sealed); !errors.Is(err, seal.ErrWrongKey) {
		t.Errorf("opened with another keyset: %v", err)
	}
}

func TestKeysetFileIsKeptAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dir", "keyset.json")
	first, err := seal.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := first.Seal(seal.AAD{}, "x")
	if err != nil {
		t.Fatal(err)
	}
	second, err := seal.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.Open(seal.AAD{}, sealed); err != nil || got.Reveal() != "x" {
		t.Fatalf("the second start cannot open: %v", err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Fatalf("keyset mode %v", st.Mode())
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.LoadOrCreate(path); err == nil {
		t.Fatal("a broken keyset was replaced or accepted")
	}
}
