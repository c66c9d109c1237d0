package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"time"
)

// Nodes of one installation share the authority's files. Each makes itself a certificate that says which node it is;
// phones' and browsers' certificates never do, so that none of them can pass for a node.
const (
	nodeLifetime = 90 * 24 * time.Hour
	nodeHost     = "node.demarc.internal" // all nodes have it: which node it is stands in the URI
	nodeScheme   = "demarc-node"
)

// ErrNode says that a peer is not the node it should be.
var ErrNode = errors.New("pki: the peer is not that node of this installation")

// Node is one node's side of the connections between nodes: mutual TLS 1.3 under the authority.
type Node struct {
	authority *Authority
	name      string
	now       func() time.Time

	mu   sync.Mutex
	cert *tls.Certificate
}

// Node returns the identity of a node by its configured name. Its key lives in memory alone.
func (a *Authority) Node(name string, now func() time.Time) *Node {
	return &Node{authority: a, name: name, now: now}
}

// Key derives a secret that all nodes share from the authority's key, another one for each purpose.
func (a *Authority) Key(purpose string) ([]byte, error) {
	secret, err := a.key.Bytes()
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, secret, nil, "demarc "+purpose, 32)
}

// Server returns the TLS settings of the internal listener: whoever connects must be a node.
func (n *Node) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: n.authority.Pool(),
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return n.certificate() },
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := PeerNode(state)
			return err
		},
	}
}

// Client returns the TLS settings of a connection to a node.
func (n *Node) Client(to string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: n.authority.Pool(), ServerName: nodeHost,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return n.certificate() },
		VerifyConnection: func(state tls.ConnectionState) error {
			peer, err := PeerNode(state)
			if err == nil && peer != to {
				err = fmt.Errorf("%w: %s answers where %s should", ErrNode, peer, to)
			}
			return err
		},
	}
}

// PeerNode returns which node is at the other end of a connection.
func PeerNode(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) > 0 {
		for _, u := range state.PeerCertificates[0].URIs {
			if u.Scheme == nodeScheme && u.Opaque != "" {
				return u.Opaque, nil
			}
		}
	}
	return "", ErrNode
}

// certificate returns one that is good for a while yet.
func (n *Node) certificate() (*tls.Certificate, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if n.cert != nil && now.Before(n.cert.Leaf.NotAfter.Add(-renewBefore)) {
		return n.cert, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "demarc node " + n.name},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(nodeLifetime), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{nodeHost}, URIs: []*url.URL{{Scheme: nodeScheme, Opaque: n.name}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, n.authority.ca, &key.PublicKey, n.authority.key)
	if err != nil {
		return nil, fmt.Errorf("pki: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	n.cert = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return n.cert, nil
}
