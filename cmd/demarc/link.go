package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"demarc/internal/account"
	"demarc/internal/config"
)

type linkCmd struct {
	onAccount
	Service  string `placeholder:"URL" help:"https://host[:port] of the CloudLink-like service. Default: connector.cloudlink_url, else the one in the gateway's own process."`
	Email    string `help:"Who signs in at the service. Default: cloudlink.admin_email, else the account's owner."`
	Password string `placeholder:"FILE" help:"File with that person's password, - for standard input. Default: the one that the first start made."`
}

func (linkCmd) Help() string {
	return "Does in one step what an admin does in the portal: installs the app, makes a connector, signs in at the " +
		"service, consents, and comes back with a grant. It walks the real pages. Run it on the gateway's machine."
}

func (c *linkCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	effective, err := r.load()
	if err != nil {
		return err
	}
	owner, err := c.signInAsOwner(ctx, r, effective.Config)
	if err != nil {
		return err
	}
	service, email, password, err := c.service(effective.Config, owner.email)
	if err != nil {
		return err
	}
	made, err := owner.install(ctx, service)
	if err != nil {
		return err
	}
	if made, err = owner.connect(ctx, made, email, password); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "linked to %s as %s; demarc sync pulls credentials now\n", made.BaseURL, email)
	return err
}

// ownerSession is the account's owner at work.
type ownerSession struct {
	*admin
	email string
}

func (c *linkCmd) signInAsOwner(ctx context.Context, r *root, cfg config.Config) (ownerSession, error) {
	op, err := c.operator(r)
	if err != nil {
		return ownerSession{}, err
	}
	var listed struct {
		Members []struct {
			Email string `json:"email"`
			Role  string `json:"role"`
		} `json:"members"`
	}
	if err := op.call(ctx, http.MethodGet, "/v1/members", nil, &listed); err != nil {
		return ownerSession{}, err
	}
	for _, m := range listed.Members {
		if m.Role == string(account.Owner) {
			session, err := c.signIn(ctx, op, cfg, m.Email)
			return ownerSession{session, m.Email}, err
		}
	}
	return ownerSession{}, errors.New("the account has no owner")
}

func (c *linkCmd) signIn(ctx context.Context, op *operator, cfg config.Config, email string) (*admin, error) {
	var link struct {
		URL string `json:"url"`
	}
	asked := map[string]string{"email": email, "account": c.Account}
	if err := op.call(ctx, http.MethodPost, "/v1/sign-in-links", asked, &link); err != nil {
		return nil, err
	}
	server, err := url.Parse(link.URL)
	if err != nil {
		return nil, err
	}
	ca, err := serverCA(cfg)
	if err != nil {
		return nil, err
	}
	return signIn(ctx, ca, server.Scheme+"://"+server.Host, link.URL)
}

// serverCA returns the CA of the server's certificate, or nothing when that is a public one.
func serverCA(cfg config.Config) ([]byte, error) {
	path := cfg.TLS.CAFile
	if path == "" {
		if cfg.PublicName != "" || cfg.TLS.CertificateFile != "" {
			return nil, nil
		}
		path = cfg.DataFile("pki/ca.pem")
	}
	ca, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the CA of the gateway's certificate: %w", err)
	}
	return ca, nil
}

// service returns where to link to, and as whom.
func (c *linkCmd) service(cfg config.Config, owner string) (base, email string, password account.Secret, err error) {
	local := cfg.CloudLink.PublicURL
	if _, port, err := net.SplitHostPort(cfg.CloudLink.Listen); err == nil && local == "" && cfg.Has(config.RoleCloudLink) {
		local = "https://" + net.JoinHostPort(cfg.ServerName(), port)
	}
	base = cmp.Or(c.Service, cfg.Connector.CloudLinkURL, local)
	email = cmp.Or(c.Email, cfg.CloudLink.AdminEmail, owner)
	switch {
	case base == "":
		return "", "", "", errors.New("name the service with --service or connector.cloudlink_url")
	case c.Password != "":
		password, err = readPassword(c.Password)
	case cfg.CloudLink.AdminPassword != "":
		password = cfg.CloudLink.AdminPassword
	default:
		password, err = readPassword(cfg.DataFile("cloudlink-admin.password"))
	}
	if err != nil {
		err = fmt.Errorf("the password of %s: %w (name a file with --password)", email, err)
	}
	return base, email, password, err
}

func readPassword(path string) (account.Secret, error) {
	const longest = 4096
	in, err := openInput(path)
	if err != nil {
		return "", err
	}
	defer in.Close()
	content, err := io.ReadAll(io.LimitReader(in, longest))
	return account.Secret(strings.TrimRight(string(content), "\r\n")), err
}

// openInput opens a file that a command is given; - is standard input.
func openInput(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(path)
}
