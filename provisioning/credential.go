package provisioning

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/telephony/digest"
)

// same reports whether a softphone would be handed the same.
func (c Credential) same(o Credential) bool {
	return c.EndpointID == o.EndpointID && c.SIPUsername == o.SIPUsername && c.AuthUsername == o.AuthUsername &&
		c.Realm == o.Realm && c.Domain == o.Domain && c.SRTP == o.SRTP && c.RegisterExpires == o.RegisterExpires &&
		c.Keepalive == o.Keepalive && c.VoicemailNumber == o.VoicemailNumber && c.CallerID == o.CallerID &&
		slices.Equal(c.Registrars, o.Registrars) && slices.EqualFunc(c.Hashes, o.Hashes, sameHash)
}

func sameHash(a, b digest.Hash) bool {
	return a.Algorithm == b.Algorithm && a.Realm == b.Realm && a.HA1.Equal(b.HA1)
}

func (c Credential) aor() string { return c.SIPUsername + "@" + c.Domain }

// describe names a credential for support staff, without its secret.
func (c Credential) describe() string {
	algorithms := make([]string, len(c.Hashes))
	for i, h := range c.Hashes {
		algorithms[i] = string(h.Algorithm)
	}
	return fmt.Sprintf("%s, realm %s, %s.", c.aor(), c.Realm, strings.Join(algorithms, " and "))
}

// sourceETag is a mark over everything that a credential is made of but its secret: when it is the same as before, the
// secret is not fetched again. An endpoint without etag has none.
func sourceETag(ep cloudlink.SIPEndpoint, pbx cloudlink.PBX) string {
	if ep.ETag == "" {
		return ""
	}
	text, err := json.Marshal([]any{ep, pbx})
	if err != nil { // both are plain structs: it cannot fail, and then fetching again is right
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// newCredential joins what endpoint, PBX and the secret part say. Its error is a sentence for support staff.
func newCredential(f Fetch, got cloudlink.Credential) (Credential, error) {
	ep, pbx := f.Endpoint, f.PBX
	c := Credential{
		Kind: ep.DeviceKind, EndpointID: ep.EndpointID, SIPUsername: ep.SIPUsername,
		AuthUsername: first(got.Username, ep.AuthUsername, ep.SIPUsername),
		Realm:        first(got.Realm, ep.Realm, pbx.Realm), Domain: strings.ToLower(first(ep.Domain, pbx.Domain)),
		Registrars: got.Registrars, SRTP: first(got.SRTP, pbx.SRTP, "preferred"), RegisterExpires: pbx.RegistrationExpires,
		Keepalive: pbx.KeepaliveSeconds, VoicemailNumber: got.VoicemailNumber, CallerID: got.CallerID,
		SourceETag: f.ETag, ETag: account.NewID("etag"),
	}
	if len(c.Registrars) == 0 {
		c.Registrars = pbx.Registrars
	}
	if c.RegisterExpires <= 0 {
		c.RegisterExpires = 3600
	}
	for _, d := range got.Digests {
		algorithm, err := digest.ParseAlgorithm(d.Algorithm)
		if err != nil {
			continue // one that we cannot use does not spoil the others
		}
		h := digest.Hash{Algorithm: algorithm, Realm: c.Realm, HA1: account.Secret(strings.ToLower(d.HA1))}
		if err := h.Validate(); err != nil {
			return Credential{}, fmt.Errorf("the HA1 under %s is unusable: %w", algorithm, err)
		}
		c.Hashes = append(c.Hashes, h)
	}
	switch {
	case len(c.Hashes) == 0:
		return Credential{}, fmt.Errorf("it holds no HA1 under MD5, SHA-256 or SHA-512-256")
	case c.SIPUsername == "" || c.Domain == "":
		return Credential{}, fmt.Errorf("it names no SIP user or no domain")
	case len(c.Registrars) == 0:
		return Credential{}, fmt.Errorf("it names no registrar")
	}
	return c, c.fit()
}

const maxToken = 255 // of a name that goes into SIP messages and database keys

// fit refuses what would break a SIP message, a softphone's configuration or a row of the store. Phones get it as it is.
func (c Credential) fit() error {
	type named struct{ what, text string }
	inSIP := []named{{"SIP user name", c.SIPUsername}, {"domain", c.Domain}}
	for _, r := range c.Registrars {
		inSIP = append(inSIP, named{"registrar", r.Host})
	}
	for _, n := range inSIP {
		if !printable(n.text) || strings.ContainsAny(n.text, "<>\"@ ") {
			return fmt.Errorf("its %s %q is not fit for SIP", n.what, clip(n.text, 40))
		}
	}
	for _, n := range []named{
		{"authentication user name", c.AuthUsername}, {"realm", c.Realm}, {"voicemail number", c.VoicemailNumber},
		{"caller id", c.CallerID},
	} {
		if !printable(n.text) {
			return fmt.Errorf("its %s %q is too long, or holds control characters", n.what, clip(n.text, 40))
		}
	}
	return nil
}

func printable(s string) bool { return len(s) <= maxToken && clip(s, maxToken) == s }

// realmWarnings names the registrars whose realm is another one than the HA1's: the HA1 is worthless there.
func realmWarnings(c Credential, pbx cloudlink.PBX) []string {
	var warnings []string
	for _, r := range c.Registrars {
		if realm := first(r.Realm, pbx.Realm, c.Realm); realm != c.Realm {
			warnings = append(warnings, fmt.Sprintf("The %s registrar %s has realm %q, but the SIP credential is for realm "+
				"%q: registering there will fail with 401. Ask the PBX admin to use one realm.", r.Role, r.Host, realm, c.Realm))
		}
	}
	return warnings
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
