package rtp

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	_ "crypto/sha256" // hashes of fingerprints
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/srtp/v3"

	"demarc/telephony/sdp"
)

// Errors of a handshake.
var (
	ErrHandshake   = errors.New("the DTLS handshake failed")
	ErrFingerprint = errors.New("the phone's certificate is not the one of its SDP")
)

// Identity is our side of DTLS: a certificate that nobody has signed but itself. Its fingerprint in the SDP vouches for it (RFC 5763).
type Identity struct {
	Fingerprint sdp.Fingerprint
	certificate tls.Certificate
}

// NewIdentity makes one.
func NewIdentity() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("DTLS key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "media"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(10, 0, 0), // a process does not live as long
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("DTLS certificate: %w", err)
	}
	return &Identity{
		Fingerprint: sdp.Fingerprint{Hash: "sha-256", Value: fingerprint(crypto.SHA256, der)},
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
	}, nil
}

// DER returns the certificate.
func (i *Identity) DER() []byte { return i.certificate.Certificate[0] }

func fingerprint(h crypto.Hash, der []byte) string {
	sum := h.New()
	sum.Write(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum.Sum(nil)), " ", ":")
}

// Association is an ended handshake and what came of it.
type Association struct {
	Protection   *Protection
	Unprotection *Unprotection
	Suite        string
	conn         *dtls.Conn
}

// Accept waits for the phone's handshake on conn, which carries DTLS and nothing else. The phone's certificate must have one of
// the fingerprints of its SDP. Until Close it answers what the phone repeats.
func (i *Identity) Accept(ctx context.Context, conn net.PacketConn, phone net.Addr, expected []sdp.Fingerprint) (*Association, error) {
	options := []dtls.ServerOption{dtls.WithClientAuth(dtls.RequireAnyClientCert)}
	for _, o := range i.options(expected) {
		options = append(options, o)
	}
	c, err := dtls.ServerWithOptions(conn, phone, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	return finish(ctx, c, false)
}

// Connect begins the handshake, with a phone that waits for ours. All else is as with Accept.
func (i *Identity) Connect(ctx context.Context, conn net.PacketConn, phone net.Addr, expected []sdp.Fingerprint) (*Association, error) {
	options := []dtls.ClientOption{dtls.WithInsecureSkipVerify(true)} // nobody has signed it: its fingerprint proves it
	for _, o := range i.options(expected) {
		options = append(options, o)
	}
	c, err := dtls.ClientWithOptions(conn, phone, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	return finish(ctx, c, true)
}

func (i *Identity) options(expected []sdp.Fingerprint) []dtls.Option {
	return []dtls.Option{
		dtls.WithCertificates(i.certificate), dtls.WithSRTPProtectionProfiles(dtlsProfiles()...),
		dtls.WithVerifyPeerCertificate(func(raw [][]byte, _ [][]*x509.Certificate) error { return verify(raw, expected) }),
	}
}

func finish(ctx context.Context, c *dtls.Conn, client bool) (*Association, error) {
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrHandshake, err), c.Close())
	}
	a, err := associate(c, client)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrHandshake, err), c.Close())
	}
	return a, nil
}

// Close forgets the association. What the conn under it is closed first does not tell the phone, whose keys stay good.
func (a *Association) Close() error { return a.conn.Close() }

// dtlsProfiles are the SRTP protections that we take, best first (RFC 5764 §4.1.2, RFC 7714 §14.2).
func dtlsProfiles() []dtls.SRTPProtectionProfile {
	return []dtls.SRTPProtectionProfile{dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80}
}

// verify holds the phone's certificate against the fingerprints of its SDP (RFC 8122 §5).
func verify(raw [][]byte, expected []sdp.Fingerprint) error {
	if len(raw) == 0 {
		return ErrFingerprint
	}
	for _, f := range expected {
		if h, ok := hashNamed(f.Hash); ok && strings.EqualFold(fingerprint(h, raw[0]), f.Value) {
			return nil
		}
	}
	return ErrFingerprint
}

func hashNamed(name string) (crypto.Hash, bool) {
	switch strings.ToLower(name) {
	case "sha-256":
		return crypto.SHA256, true
	case "sha-384":
		return crypto.SHA384, true
	case "sha-512":
		return crypto.SHA512, true
	}
	return 0, false // older ones can be forged
}

// associate draws the SRTP keys from the handshake: those of the client come first (RFC 5764 §4.2).
func associate(c *dtls.Conn, client bool) (*Association, error) {
	chosen, ok := c.SelectedSRTPProtectionProfile()
	if !ok {
		return nil, errors.New("the phone's DTLS knows none of our SRTP suites")
	}
	profile := srtp.ProtectionProfile(chosen) // the same numbers
	keySize, err := profile.KeyLen()
	if err != nil {
		return nil, err
	}
	saltSize, err := profile.SaltLen()
	if err != nil {
		return nil, err
	}
	state, ok := c.ConnectionState()
	if !ok {
		return nil, errors.New("no state after the handshake")
	}
	all, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, 2*(keySize+saltSize))
	if err != nil {
		return nil, err
	}
	salts := all[2*keySize:]
	theirKey, theirSalt, ourKey, ourSalt := all[:keySize], salts[:saltSize], all[keySize:2*keySize], salts[saltSize:]
	if client {
		theirKey, theirSalt, ourKey, ourSalt = ourKey, ourSalt, theirKey, theirSalt
	}
	theirs, err := newUnprotection(profile, theirKey, theirSalt, nil)
	if err != nil {
		return nil, err
	}
	ours, err := newProtection(profile, ourKey, ourSalt)
	if err != nil {
		return nil, err
	}
	return &Association{Protection: ours, Unprotection: theirs, Suite: strings.TrimPrefix(profile.String(), "SRTP_"), conn: c}, nil
}
