package pki_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"demarc/internal/pki"
)

// issued returns the PEM of a certificate and key for names, made at a time.
func issued(t *testing.T, at time.Time, names ...string) (chain, key []byte) {
	t.Helper()
	dir := t.TempDir()
	if _, err := pki.LoadOrCreate(dir, names, at); err != nil {
		t.Fatal(err)
	}
	chain, err := os.ReadFile(filepath.Join(dir, "server.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err = os.ReadFile(filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	return chain, key
}

func TestFilesAreReadAgain(t *testing.T) {
	now, year := time.Now(), 365*24*time.Hour
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	put := func(chain, key []byte) {
		t.Helper()
		for path, content := range map[string][]byte{certFile: chain, keyFile: key} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	chain, key := issued(t, now.Add(-100*24*time.Hour), "sip.example.org")
	put(chain, key)
	f, err := pki.OpenFiles(certFile, keyFile, "sip.example.org", func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first := f.Expiry()
	newer, newerKey := issued(t, now, "sip.example.org")
	other, otherKey := issued(t, now, "other.example.org")
	old, oldKey := issued(t, now.Add(-2*year), "sip.example.org")
	later, laterKey := issued(t, now.Add(year), "sip.example.org")
	failures := uint64(0)
	for _, c := range []struct {
		name       string
		chain, key []byte
		says       string
	}{
		{"key of another", newer, key, "no certificate with its key"},
		{"rubbish", []byte("rubbish"), newerKey, "no certificate with its key"},
		{"empty", nil, nil, "no certificate with its key"},
		{"another name", other, otherKey, "not for the name sip.example.org"},
		{"expired", old, oldKey, "expired at"},
		{"not begun", later, laterKey, "begins only at"},
	} {
		put(c.chain, c.key)
		if changed, err := f.Check(); changed || err != nil {
			t.Errorf("%s: judged before it settled: %v", c.name, err)
		}
		changed, err := f.Check()
		if changed || err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "stays in use") {
			t.Errorf("%s: %v", c.name, err)
		}
		if changed, err := f.Check(); changed || err != nil {
			t.Errorf("%s: told twice: %v", c.name, err)
		}
		if failures++; f.Failures() != failures || !f.Expiry().Equal(first) {
			t.Errorf("%s: %d failures, expiry %s", c.name, f.Failures(), f.Expiry())
		}
	}
	if err := os.Remove(keyFile); err != nil {
		t.Fatal(err)
	}
	_, _ = f.Check()
	if _, err := f.Check(); err == nil {
		t.Error("a missing file is not told of")
	}
	put(newer, newerKey)
	_, _ = f.Check()
	if changed, err := f.Check(); !changed || err != nil || !f.Expiry().After(first) {
		t.Errorf("changed %v, %v, expiry %s", changed, err, f.Expiry())
	}
	if served, err := f.Certificate(nil); err != nil || !bytes.Equal(served.Leaf.Raw, served.Certificate[0]) {
		t.Error(err)
	}
}

func TestFilesAtTheStart(t *testing.T) {
	now := time.Now()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	open := func(name string) error {
		_, err := pki.OpenFiles(certFile, keyFile, name, func() time.Time { return now })
		return err
	}
	if open("a.example") == nil {
		t.Error("files that are not there were opened")
	}
	chain, key := issued(t, now.Add(-2*365*24*time.Hour), "a.example")
	if err := os.WriteFile(certFile, chain, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open("a.example"); err != nil {
		t.Errorf("an expired certificate ends the start: %v", err)
	}
	if err := open("b.example"); err == nil || !strings.Contains(err.Error(), "b.example") {
		t.Errorf("another's certificate: %v", err)
	}
}
