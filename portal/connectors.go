package portal

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/provisioning"
	"demarc/store"
)

type connectorsView struct {
	Installed  bool
	Connectors []linkView
	Runs       []provisioning.SyncRun
	CanChange  bool
	CanConnect bool
	CanSync    bool
}

type linkView struct {
	Connector connector.Connector
	Grants    []grantView
}

type grantView struct {
	Grant connector.Grant
	By    string // name of the member who connected
}

func (s *server) connectors(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ReadLink); err != nil {
		return err
	}
	body, err := s.connectorsView(r.Context(), p)
	if err != nil {
		return err
	}
	// Browsers apply form-action to where a form's answer redirects, and Connect redirects to the service.
	w.Header().Set("Content-Security-Policy", policy+origins(body.Connectors))
	return s.show(w, r, p, http.StatusOK, "connectors", "Connectors", body)
}

func (s *server) connectorsView(ctx context.Context, p access.Principal) (connectorsView, error) {
	v := connectorsView{
		CanChange: may(p, access.ChangeLink), CanConnect: may(p, access.ConnectLink), CanSync: may(p, access.RunSync),
	}
	var err error
	if v.Installed, err = s.Connectors.Installed(ctx, p.Account); err != nil {
		return v, err
	}
	all, err := s.Connectors.List(ctx, p.Account)
	if err != nil {
		return v, err
	}
	names, err := s.memberNames(ctx, p.Account)
	if err != nil {
		return v, err
	}
	for _, c := range all {
		c, grants, err := s.Connectors.Connector(ctx, p.Account, c.ID)
		if err != nil {
			return v, err
		}
		l := linkView{Connector: c}
		for _, g := range grants {
			l.Grants = append(l.Grants, grantView{Grant: g, By: names[g.GrantedBy]})
		}
		v.Connectors = append(v.Connectors, l)
	}
	v.Runs, err = s.Provisioning.SyncRuns(ctx, p.Account, 10)
	return v, err
}

func (s *server) memberNames(ctx context.Context, id account.ID) (map[account.MemberID]string, error) {
	members, err := s.Access.Members(ctx, id)
	names := map[account.MemberID]string{"operator": "the operator"}
	for _, m := range members {
		names[m.ID] = m.Name
	}
	return names, err
}

// origins lists the services' origins for a Content-Security-Policy; an address that could break out of it is left out.
func origins(links []linkView) string {
	var b strings.Builder
	for _, l := range links {
		u, err := url.Parse(l.Connector.BaseURL)
		if err == nil && u.Scheme == "https" && u.Host != "" && !strings.ContainsAny(u.Host, " ;,'\"*") {
			b.WriteString(" https://" + u.Host)
		}
	}
	return b.String()
}

func (s *server) install(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ChangeLink); err != nil {
		return err
	}
	if err := s.Connectors.Install(r.Context(), p.Member); err != nil {
		return err
	}
	return toConnectors(w, r)
}

func (s *server) createConnector(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ChangeLink); err != nil {
		return err
	}
	name, base := strings.TrimSpace(r.PostFormValue("name")), strings.TrimSpace(r.PostFormValue("base"))
	if err := store.CheckText(name, base); err != nil {
		return err
	}
	if _, err := s.Connectors.Create(r.Context(), p.Member, name, base); err != nil {
		return err
	}
	return toConnectors(w, r)
}

func (s *server) connect(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	id, err := linkOf(r, p, access.ConnectLink)
	if err != nil {
		return err
	}
	to, err := s.Connectors.Begin(r.Context(), p.Member, p.Session, id)
	if err != nil {
		return err
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

func (s *server) disconnect(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	id, err := linkOf(r, p, access.ChangeLink)
	if err != nil {
		return err
	}
	if err := s.Connectors.Disconnect(r.Context(), p.Member, id); err != nil {
		return err
	}
	return toConnectors(w, r)
}

func (s *server) syncNow(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.RunSync); err != nil {
		return err
	}
	var opts []provisioning.SyncOption
	if r.URL.Query().Get("allowLoss") == "true" {
		opts = append(opts, provisioning.AllowLoss())
	}
	if _, err := s.Sync.SyncNow(r.Context(), p.Account, opts...); err != nil {
		return err
	}
	return toConnectors(w, r)
}

func linkOf(r *http.Request, p access.Principal, v access.Verb) (connector.ID, error) {
	if _, err := p.May(v); err != nil {
		return "", err
	}
	if id := r.PathValue("id"); isID(id) {
		return connector.ID(id), nil
	}
	return "", connector.ErrNotFound
}

func toConnectors(w http.ResponseWriter, r *http.Request) error {
	http.Redirect(w, r, "/connectors", http.StatusSeeOther)
	return nil
}
