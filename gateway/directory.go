package gateway

import (
	"context"
	"errors"
	"fmt"

	"demarc/cloudlink"
	"demarc/internal/config"
	storeregistrar "demarc/store/registrar"
	"demarc/telephony"
	"demarc/telephony/directory"
)

// accountDomain returns the SIP domain of the account: configured, or that of the users file, or the server's name.
func (g *Gateway) accountDomain() (string, error) {
	if d := g.cfg.Account.Domain; d != "" {
		return telephony.NewAoR("", d).Domain, nil
	}
	fallback := cloudlink.PBX{Domain: g.cfg.ServerName(), Realm: g.cfg.ServerName()}
	for _, f := range []struct{ key, path string }{
		{"telephony.directory", g.cfg.Telephony.Directory}, {"cloudlink.file", g.cfg.CloudLink.File},
	} {
		if f.path == "" {
			continue
		}
		d, err := directory.ReadFile(f.path, "", fallback)
		if err != nil {
			err = fmt.Errorf("%s: %w", f.key, err)
		}
		return d.PBX.Domain, err
	}
	return g.cfg.ServerName(), nil
}

// loadDirectory puts the users file into the registrar's directory: rows that did not change in the file are left alone.
// Without a file the directory stays as it is; the first start makes an empty one.
func (g *Gateway) loadDirectory(ctx context.Context) error {
	rows, path := storeregistrar.New(g.db, g.sealer), g.cfg.Telephony.Directory
	d := directory.Directory{PBX: g.pbxDefaults()}
	if path == "" {
		if _, err := rows.PBX(ctx, g.account.ID); !errors.Is(err, cloudlink.ErrNotFound) {
			return err
		}
	} else {
		var err error
		if d, err = directory.ReadFile(path, g.account.ID, g.pbxDefaults()); err != nil {
			return err
		}
	}
	if d.PBX.Domain != g.account.Domain {
		return fmt.Errorf("%s is for the domain %s, but the account's is %s: set account.domain or the file's pbx.domain",
			path, d.PBX.Domain, g.account.Domain)
	}
	if err := g.holdBack(ctx, rows, path, d); err != nil {
		return err
	}
	done, err := rows.Replace(ctx, g.account.ID, d)
	if err != nil {
		return err
	}
	g.log.Info("directory loaded", "file", path, "added", done.Added, "changed", done.Changed, "removed", done.Removed,
		"unchanged", done.Unchanged)
	return nil
}

// reloading is the name under which it is counted that the users file was not loaded.
const reloading = "reload of the users file"

// Reload reads the users file again. One that would take too many users away is refused, and taken when it is loaded once more within ten
// minutes.
func (g *Gateway) Reload(ctx context.Context) error {
	if !g.cfg.Has(config.RoleTelephony) {
		return nil
	}
	err := g.loadDirectory(ctx)
	if err != nil {
		g.failed(reloading).Add(1)
	}
	return err
}

// pbxDefaults describes this gateway's own registrar as a PBX, for what a users file leaves out.
func (g *Gateway) pbxDefaults() cloudlink.PBX {
	return cloudlink.PBX{
		PBXID: "core", Type: "generic", Realm: g.account.Domain, Domain: g.account.Domain, SRTP: "preferred",
		RegistrationExpires: int(g.cfg.Telephony.DefaultExpires.Seconds()), KeepaliveSeconds: 25,
		Registrars: g.ownRegistrars(),
	}
}

// RotateCredential gives an extension of the core directory a new random password, as a PBX admin would: phones that
// have the old one are refused from then on.
func (g *Gateway) RotateCredential(ctx context.Context, extension string) error {
	id := directory.UserID(g.account.ID, extension)
	user, err := g.cloudlink.pbx.User(ctx, id)
	if err != nil {
		return err
	}
	return g.cloudlink.pbx.Rotate(ctx, id, user.SIPEndpoints[0].EndpointID)
}

// ownerEmail returns the e-mail address of the account's owner as configured.
func (g *Gateway) ownerEmail() string {
	if o := g.cfg.Account.Owner; o != "" {
		return o
	}
	return "owner@" + g.account.Domain
}
