package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/pbx/core"
	"demarc/cloudlink/pbx/file"
	"demarc/cloudlink/server"
	"demarc/internal/account"
	"demarc/internal/config"
	storecloudlink "demarc/store/cloudlink"
	storeregistrar "demarc/store/registrar"
)

// cloudlinkRole is the CloudLink-like service in this process.
type cloudlinkRole struct {
	url     string
	handler http.Handler
	pbx     server.PBX
}

// The files that the service and its app share when both sides run on one machine.
const (
	adminPasswordFile = "cloudlink-admin.password"
	clientSecretFile  = "cloudlink-client.secret"
	etagKeyFile       = "cloudlink-etag.secret" // makes etags that say nothing about the hashes and outlive a restart
)

func (g *Gateway) startCloudLink(context.Context) error {
	g.cloudlink.url = g.publicURL(g.cfg.CloudLink.PublicURL, g.listeners.cloudlink)
	pbx, err := g.openPBX()
	if err != nil {
		return err
	}
	g.cloudlink.pbx = pbx
	admin, err := g.cloudlinkAdmin()
	if err != nil {
		return err
	}
	secret, err := g.clientSecret()
	if err != nil {
		return err
	}
	service, err := server.New(server.Config{
		Issuer: g.cloudlink.url,
		Accounts: []server.Account{{
			ID: g.account.ID, Name: g.account.Name, PBX: pbx, Admins: []server.Admin{admin},
			AccessTokenExpiryHours:  g.cfg.CloudLink.AccessTokenExpiryHours,
			RefreshTokenExpiryHours: g.cfg.CloudLink.RefreshTokenExpiryHours,
		}},
		Apps: []server.App{{
			ID: g.cfg.Connector.ClientID, Name: "demarc", Secret: secret, RedirectURIs: g.redirectURIs(),
			Scopes: []string{cloudlink.ScopeRead, cloudlink.ScopeWrite, cloudlink.ScopeCredential},
		}},
		Store: storecloudlink.New(g.db, g.sealer), Now: g.now, Log: g.log,
	})
	if err != nil {
		return err
	}
	g.cloudlink.handler = service
	g.every("cloudlink sweep", 5*time.Minute, service.Sweep)
	return nil
}

// openPBX returns the driver that the configuration names.
func (g *Gateway) openPBX() (server.PBX, error) {
	if g.cfg.CloudLink.Driver == "file" {
		key, err := secretFile(g.cfg.DataFile(etagKeyFile))
		if err != nil {
			return nil, err
		}
		return file.New(file.Config{
			Path: g.cfg.CloudLink.File, Account: g.account.ID, Defaults: g.pbxDefaults(), Log: g.log,
			Key: []byte(key.Reveal()),
		})
	}
	return core.New(core.Config{
		Account: g.account.ID, Subscribers: storeregistrar.New(g.db, g.sealer), Registrars: g.ownRegistrars,
	}), nil
}

func (g *Gateway) cloudlinkAdmin() (server.Admin, error) {
	email, password, err := g.CloudLinkAdmin()
	if err != nil {
		return server.Admin{}, err
	}
	hash, err := server.HashPassword(password)
	return server.Admin{
		Email: email, Name: "Administrator", Role: "ACCOUNT_ADMIN", PasswordHash: hash, PhoneSystemIntegration: true,
	}, err
}

// CloudLinkAdmin returns who may sign in at the service in this process; the password is made at the first start.
func (g *Gateway) CloudLinkAdmin() (email string, password account.Secret, err error) {
	email = g.cfg.CloudLink.AdminEmail
	if email == "" {
		email = g.ownerEmail()
	}
	if password = g.cfg.CloudLink.AdminPassword; password != "" {
		return email, password, nil
	}
	password, err = secretFile(g.cfg.DataFile(adminPasswordFile))
	return email, password, err
}

// CloudLinkURL returns https://host:port of the service in this process, or empty.
func (g *Gateway) CloudLinkURL() string { return g.cloudlink.url }

func (g *Gateway) clientSecret() (account.Secret, error) {
	if s := g.cfg.Connector.ClientSecret; s != "" {
		return s, nil
	}
	return secretFile(g.cfg.DataFile(clientSecretFile))
}

func (g *Gateway) redirectURIs() []string {
	if len(g.cfg.CloudLink.RedirectURIs) > 0 || !g.cfg.Has(config.RoleConnector) {
		return g.cfg.CloudLink.RedirectURIs
	}
	return []string{g.redirectURI()}
}

func (g *Gateway) redirectURI() string { return g.URL() + "/connect/callback" }

// secretFile reads a random secret, or makes it.
func secretFile(path string) (account.Secret, error) {
	content, err := os.ReadFile(path)
	if err == nil {
		if s := account.Secret(strings.TrimSpace(string(content))); s != "" {
			return s, nil
		}
		return "", fmt.Errorf("%s is empty: write a secret into it, or remove it to have one made", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	s := account.NewToken()
	return s, os.WriteFile(path, []byte(s.Reveal()+"\n"), 0o600)
}
