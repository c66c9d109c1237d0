package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	"demarc/internal/account"
)

// argon2id with the parameters that OWASP recommends for servers: 19 MiB, two passes, one lane.
const (
	argonMemory = 19 * 1024 // KiB
	argonPasses = 2
	argonLanes  = 1
	argonSize   = 32
)

var errPasswordHash = errors.New("the password hash is not one of argon2id in PHC form: make it with demarc")

// HashPassword returns an argon2id hash in PHC form ("$argon2id$v=19$m=…").
func HashPassword(password account.Secret) (string, error) {
	if n := len(password.Reveal()); n < 8 || n > 256 {
		return "", errors.New("a password must have 8 to 256 bytes")
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails: crypto/rand ends the process instead
	h := phc{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: salt}
	h.sum = h.of(password)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.sum)), nil
}

// phc is a hash with its parameters.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errPasswordHash
	}
	var h phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil || n != 3 {
		return phc{}, errPasswordHash
	}
	var errSalt, errSum error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, errSum = base64.RawStdEncoding.DecodeString(parts[5])
	sane := h.memory >= 8*1024 && h.memory <= 256*1024 && h.passes >= 1 && h.passes <= 10 && h.lanes >= 1
	if errSalt != nil || errSum != nil || len(h.salt) < 8 || len(h.sum) != argonSize || !sane {
		return phc{}, errPasswordHash
	}
	return h, nil
}

func (h phc) of(password account.Secret) []byte {
	return argon2.IDKey([]byte(password.Reveal()), h.salt, h.passes, h.memory, h.lanes, argonSize)
}

// passwords compares passwords, a few at a time: each comparison takes much memory.
type passwords struct {
	slots chan struct{}
	dummy phc
}

func newPasswords() *passwords {
	salt := make([]byte, 16)
	rand.Read(salt)
	return &passwords{
		slots: make(chan struct{}, 4),
		dummy: phc{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: salt, sum: make([]byte, argonSize)},
	}
}

// match compares with hash, or does the same work without one, so that an unknown person takes as long as a known one.
func (p *passwords) match(ctx context.Context, hash *phc, password account.Secret) (bool, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	known := hash != nil
	if !known {
		hash = &p.dummy
	}
	same := subtle.ConstantTimeCompare(hash.of(password), hash.sum) == 1
	return same && known, nil
}
