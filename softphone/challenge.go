package softphone

import (
	"fmt"
	"strings"

	"github.com/icholy/digest"

	"demarc/telephony/sip"
)

// strength ranks the digest algorithms (RFC 8760 §2.3 leaves the choice to the server's order; we take the strongest
// that we hold an HA1 for, because the order is the only thing that an attacker in the middle needs to change).
var strength = [...]string{"SHA-512-256", "SHA-256", "MD5"}

// answer computes Authorization values for one challenge and counts its use.
type answer struct {
	header    string // the header that the answer goes into
	challenge *digest.Challenge
	ha1       string
	user      string
	count     int
}

// chooseChallenge picks the challenge to answer. Only challenges of the credential's own realm are looked at: whoever
// else asks gets nothing, because a response to a chosen nonce is what a password cracker needs (threat: digest leak).
func chooseChallenge(cred *credential, r *sip.Response) (*answer, error) {
	header, values := "Authorization", r.Values("WWW-Authenticate")
	if r.Status == 407 {
		header, values = "Proxy-Authorization", r.Values("Proxy-Authenticate")
	}
	var realms []string
	offers := map[string]*digest.Challenge{}
	for _, value := range values {
		c, err := digest.ParseChallenge(value)
		if err != nil {
			continue // Basic, or a scheme to come
		}
		if c.Realm != cred.Realm {
			realms = append(realms, c.Realm)
			continue
		}
		algorithm := strings.ToUpper(c.Algorithm)
		if algorithm == "" {
			algorithm = "MD5" // RFC 3261 §22.4
		}
		if offers[algorithm] == nil && c.Nonce != "" && digest.CanDigest(c) {
			offers[algorithm] = c
		}
	}
	for _, algorithm := range strength {
		if c, ha1 := offers[algorithm], cred.ha1(algorithm); c != nil && ha1 != "" {
			c.Userhash = false // the registrar finds the user by name (RFC 7616 §3.4.4 leaves it to us)
			return &answer{header: header, challenge: c, ha1: ha1, user: cred.AuthUsername}, nil
		}
	}
	if len(offers) == 0 && len(realms) > 0 {
		return nil, fmt.Errorf("it asks for a password of realm %q and the credential is for %q: "+
			"correct the realm in the PBX settings and sync this user", plain(realms[0], 60), cred.Realm)
	}
	return nil, fmt.Errorf("it offers no digest algorithm that the credential has a hash for: "+
		"offer %s on this listener, or sync this user", cred.algorithms())
}

// value returns the header value for the next request; the nonce count goes up with each (RFC 7616 §3.4).
func (a *answer) value(method, uri string) (string, error) {
	a.count++
	c, err := digest.Digest(a.challenge, digest.Options{
		Method: method, URI: uri, Username: a.user, A1: a.ha1, Count: a.count,
	})
	if err != nil {
		return "", err
	}
	return c.String(), nil
}

func (c *credential) ha1(algorithm string) string {
	for _, d := range c.Digests {
		if strings.EqualFold(d.Algorithm, algorithm) {
			return d.HA1
		}
	}
	return ""
}

func (c *credential) algorithms() string {
	var names []string
	for _, d := range c.Digests {
		names = append(names, d.Algorithm)
	}
	return strings.Join(names, " or ")
}
