package softphone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"demarc/telephony"
)

// credential is what the phone registers with, as the server hands it over.
type credential struct {
	DisplayName     string           `json:"displayName"`
	Extension       string           `json:"extension"`
	CallerID        string           `json:"callerId"`
	VoicemailNumber string           `json:"voicemailNumber"`
	Kind            Kind             `json:"kind"`
	Username        string           `json:"username"`
	AuthUsername    string           `json:"authUsername"`
	Realm           string           `json:"realm"`
	Domain          string           `json:"domain"`
	Instance        string           `json:"instance"`
	Digests         []credentialHash `json:"digests"`
	Registrars      []address        `json:"registrars"`
	SRTP            string           `json:"srtp"`
	RegisterExpires int              `json:"registerExpires"`
	Keepalive       int              `json:"keepalive"`
	CA              string           `json:"ca"`

	etag string
}

// credentialHash is one HA1, valid in the credential's realm under its algorithm alone.
type credentialHash struct {
	Algorithm string `json:"algorithm"`
	HA1       string `json:"ha1"`
}

// String hides the HA1.
func (h credentialHash) String() string { return h.Algorithm + " ***" }

// GoString hides the HA1.
func (h credentialHash) GoString() string { return h.String() }

// address is one place to register.
type address struct {
	Role      string `json:"role"` // sbc, backup or internal
	Host      string `json:"host"`
	Port      int    `json:"port"`
	Transport string `json:"transport"` // tls, tcp or udp
	Realm     string `json:"realm"`     // when it differs from the credential's
}

func (a address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(a.Port)) }

// pendingError wraps ErrPending with whose turn it is.
type pendingError struct {
	text       string
	retryAfter time.Duration
}

func (e *pendingError) Error() string { return ErrPending.Error() + ": " + e.text }
func (e *pendingError) Unwrap() error { return ErrPending }

// fetchCredential asks for the credential and returns kept while the server says that it stands. Errors: ErrPending,
// ErrRevoked, ErrBadReply or a *Failure.
func fetchCredential(ctx context.Context, c *apiClient, p *Profile, kept *credential) (*credential, error) {
	etag := ""
	if kept != nil {
		etag = kept.etag
	}
	reply, err := c.do(ctx, http.MethodGet, "/v1/devices/"+p.DeviceID+"/credential", p.Token, etag, nil)
	if err != nil {
		return nil, err
	}
	switch reply.status {
	case http.StatusOK:
	case http.StatusNotModified:
		if kept == nil {
			return nil, fmt.Errorf("%w: 304 to a request without If-None-Match", ErrBadReply)
		}
		return kept, nil
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusGone:
		return nil, fmt.Errorf("%w: its token was revoked or its user removed; enrol it again", ErrRevoked)
	case http.StatusConflict:
		return nil, &pendingError{text: reply.problem.text(reply.status), retryAfter: reply.retryAfter}
	default:
		return nil, reply.failure()
	}
	cred := &credential{etag: reply.etag}
	if err := reply.decode(cred); err != nil {
		return nil, err
	}
	if err := cred.complete(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadReply, err)
	}
	return cred, nil
}

// complete fills what the server may leave out and refuses what cannot be registered with.
func (c *credential) complete(p *Profile) error {
	if c.AuthUsername == "" {
		c.AuthUsername = c.Username
	}
	if c.Domain == "" {
		c.Domain = c.Realm
	}
	if c.Instance == "" {
		c.Instance = p.Instance
	}
	if c.Kind == "" {
		c.Kind = p.Kind
	}
	for i := range c.Registrars {
		c.Registrars[i].Role = strings.ToLower(c.Registrars[i].Role)
		c.Registrars[i].Transport = strings.ToLower(c.Registrars[i].Transport)
	}
	switch {
	case c.Username == "" || c.Realm == "" || c.Domain == "":
		return errors.New("the credential has no user name, realm or domain")
	case len(c.Digests) == 0:
		return errors.New("the credential has no digest")
	case len(c.Registrars) == 0:
		return errors.New("the credential names no registrar")
	}
	c.Registrars = slices.DeleteFunc(c.Registrars, func(a address) bool { return !spoken(a.Transport) })
	if len(c.Registrars) == 0 {
		return errors.New("the credential names registrars for browsers alone: this softphone needs one over tls, tcp or udp")
	}
	// These go into SIP messages as they are.
	for _, s := range []string{c.Username, c.Domain, c.Instance} {
		if strings.ContainsAny(s, "\r\n\x00<>\"@ ") {
			return errors.New("the credential holds a user name, domain or instance that is not fit for SIP")
		}
	}
	_, err := rootPool([]byte(c.CA))
	return err
}

// spoken reports whether the SDK registers over a transport. WebSockets are for browsers.
func spoken(transport string) bool {
	switch telephony.Transport(transport) {
	case telephony.TLS, telephony.TCP, telephony.UDP:
		return true
	}
	return false
}

// authorities returns the PEM of who may sign a registrar's certificate: the PBX's own, else the server's.
func (c *credential) authorities(p *Profile) []byte {
	if strings.TrimSpace(c.CA) != "" {
		return []byte(c.CA)
	}
	return p.CA
}
