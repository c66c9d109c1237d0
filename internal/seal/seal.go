// Package seal encrypts secrets for the store: AES-256-GCM through Tink, bound to the place where they are kept, so that a
// sealed value copied to another account, table, column or row does not open.
//
// It owns the keyset file, not what is sealed. The key's id stands in each sealed value, so that old values open after a
// rotation. No compatibility promise.
package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"demarc/internal/account"
)

// ErrWrongKey says that a value was not sealed with this keyset for this place, or was changed.
var ErrWrongKey = errors.New("a sealed value does not open: wrong keyset, or the row was moved or changed")

// AAD names the place of a sealed value.
type AAD struct{ Account, Table, Column, Row string }

// bytes joins the parts so that no two places give the same text.
func (a AAD) bytes() []byte {
	var b bytes.Buffer
	for _, s := range []string{a.Account, a.Table, a.Column, a.Row} {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	return b.Bytes()
}

// Sealer seals and opens.
type Sealer struct{ aead tink.AEAD }

// Seal encrypts a secret for its place.
func (s *Sealer) Seal(aad AAD, secret account.Secret) ([]byte, error) {
	return s.aead.Encrypt([]byte(secret.Reveal()), aad.bytes())
}

// Open decrypts a secret from its place.
func (s *Sealer) Open(aad AAD, sealed []byte) (account.Secret, error) {
	plain, err := s.aead.Decrypt(sealed, aad.bytes())
	if err != nil {
		return "", fmt.Errorf("%w (%s.%s)", ErrWrongKey, aad.Table, aad.Column)
	}
	return account.Secret(plain), nil
}

// LoadOrCreate reads the keyset file, or makes one readable by its owner alone. Whoever has the file and the database has
// every secret: keep the two apart in backups.
func LoadOrCreate(path string) (*Sealer, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	defer f.Close()
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(f))
	if err != nil {
		return nil, fmt.Errorf("keyset %s cannot be read: restore it from its backup, nothing opens without it: %w", path, err)
	}
	return fromHandle(handle)
}

func create(path string) (*Sealer, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	// O_EXCL: two processes that start together must not each make a keyset.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	if _, err = f.Write(b.Bytes()); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	return fromHandle(handle)
}

func fromHandle(handle *keyset.Handle) (*Sealer, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	return &Sealer{aead: primitive}, nil
}
