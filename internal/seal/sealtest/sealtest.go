// Package sealtest gives tests a sealer with a fresh keyset. No compatibility promise.
package sealtest

import (
	"path/filepath"
	"testing"

	"demarc/internal/seal"
)

// New returns a sealer whose keyset lives in the test's own directory.
func New(t testing.TB) *seal.Sealer {
	t.Helper()
	s, err := seal.LoadOrCreate(filepath.Join(t.TempDir(), "keyset.json"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
