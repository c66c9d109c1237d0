package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files is a certificate in two files that somebody else renews. It is safe for concurrent use.
type Files struct {
	certificate, key, name string
	now                    func() time.Time
	current                atomic.Pointer[tls.Certificate]
	failures               atomic.Uint64

	mu     sync.Mutex
	loaded [sha256.Size]byte // of the files that current comes from
	seen   [sha256.Size]byte // at the last check
	judged [sha256.Size]byte // the last that was found bad
}

// OpenFiles reads a certificate chain and its key (PEM) for a DNS name. What it finds at the start must do, though it
// may have expired: a server that does not start helps nobody.
func OpenFiles(certificate, key, name string, now func() time.Time) (*Files, error) {
	f := &Files{certificate: certificate, key: key, name: name, now: now}
	chain, private, sum, err := f.read()
	if err != nil {
		return nil, err
	}
	pair, err := f.judge(chain, private, true)
	if err != nil {
		return nil, err
	}
	f.current.Store(pair)
	f.loaded, f.seen = sum, sum
	return f, nil
}

// Certificate implements Source.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

// Expiry implements Source.
func (f *Files) Expiry() time.Time { return f.current.Load().Leaf.NotAfter }

// Failures counts changes of the files that could not be used.
func (f *Files) Failures() uint64 { return f.failures.Load() }

// Check takes a new pair into use once the files have stayed the same for two checks: somebody may be writing them one
// after the other. A pair that does not do is told once and counted, and the old one stays.
func (f *Files) Check() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	chain, private, sum, err := f.read()
	settled := sum == f.seen
	f.seen = sum
	if !settled || sum == f.loaded || sum == f.judged {
		return false, nil
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = f.judge(chain, private, false)
	}
	if err != nil {
		f.judged = sum
		f.failures.Add(1)
		return false, fmt.Errorf("%w; the certificate that ends %s stays in use", err, f.Expiry().Format(time.RFC3339))
	}
	f.current.Store(pair)
	f.loaded = sum
	return true, nil
}

// read returns the files and a sum that also tells a missing file from an empty one.
func (f *Files) read() (chain, key []byte, sum [sha256.Size]byte, err error) {
	chain, err = os.ReadFile(f.certificate)
	if err == nil {
		key, err = os.ReadFile(f.key)
	}
	if err != nil {
		return nil, nil, sha256.Sum256([]byte(err.Error())), fmt.Errorf("pki: %w", err)
	}
	return chain, key, sha256.Sum256(bytes.Join([][]byte{chain, key}, []byte{0})), nil
}

func (f *Files) judge(chain, key []byte, expired bool) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("pki: %s and %s are no certificate with its key: %w", f.certificate, f.key, err)
	}
	now := f.now()
	switch {
	case pair.Leaf.VerifyHostname(f.name) != nil:
		return nil, fmt.Errorf("pki: %s is not for the name %s, by which phones reach this server", f.certificate, f.name)
	case now.Before(pair.Leaf.NotBefore):
		return nil, fmt.Errorf("pki: %s begins only at %s", f.certificate, pair.Leaf.NotBefore.Format(time.RFC3339))
	case !expired && !now.Before(pair.Leaf.NotAfter):
		return nil, fmt.Errorf("pki: %s expired at %s", f.certificate, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	return &pair, nil
}
