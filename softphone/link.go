package softphone

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Link is what an enrolment link or its QR picture carries.
type Link struct {
	Server string // https://host:port
	Code   Secret // one-time
	CA     []byte // PEM of the server's private authority; empty when its certificate is a public one
}

// ParseLink reads demarc://host:port/enrol?code=…&ca=…, as the portal shows it.
func ParseLink(s string) (Link, error) {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil { // the error of url.Parse repeats its input, and with it the code
		return Link{}, fmt.Errorf("%w: it is not a link", ErrLink)
	}
	if u.Scheme != "demarc" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "enrol" {
		return Link{}, fmt.Errorf("%w: it must start with demarc://host:port/enrol", ErrLink)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || query.Get("code") == "" {
		return Link{}, fmt.Errorf("%w: it has no code", ErrLink)
	}
	server, err := serverURL("https://" + u.Host)
	if err != nil {
		return Link{}, fmt.Errorf("%w: %w", ErrLink, err)
	}
	link := Link{Server: server.String(), Code: Secret(query.Get("code"))}
	if ca := query.Get("ca"); ca != "" {
		if link.CA, err = decodeCA(ca); err != nil {
			return Link{}, fmt.Errorf("%w: %w", ErrLink, err)
		}
	}
	return link, nil
}

func decodeCA(encoded string) ([]byte, error) {
	der, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return nil, errors.New("its certificate is cut off")
	}
	if _, err := x509.ParseCertificate(der); err != nil {
		return nil, errors.New("its certificate cannot be read")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// serverURL accepts an HTTPS origin and nothing else: a token must not travel in the clear or to a path of others.
func serverURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("the server address must look like https://host:port")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
