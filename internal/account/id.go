package account

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// ID names an account. It leads every key in the store.
type ID string

// MemberID names a person in an account.
type MemberID string

// Member is a person in an account: somebody who may sign in, or be put on the integration.
type Member struct {
	Account ID
	ID      MemberID
	Email   string
	Name    string
	Role    Role
}

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID returns a fresh random identifier "prefix_…" with 80 bits of entropy, in lower-case letters and digits that
// are hard to confuse (Crockford's alphabet).
func NewID(prefix string) string {
	return prefix + "_" + random(10)
}

// NewToken returns a fresh random bearer value with 160 bits of entropy.
func NewToken() Secret { return Secret(random(20)) }

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return strings.ToLower(idEncoding.EncodeToString(b))
}
