package portal

import (
	"context"
	"html/template"
	"net/http"
	"strings"

	"demarc/cloudlink"
	"demarc/internal/access"
	"demarc/internal/qrcode"
	"demarc/internal/timeline"
	"demarc/provisioning"
)

const timelineLimit = 100

type userView struct {
	Status    provisioning.Status
	Next      step
	Timeline  []timeline.Entry
	Names     map[string]string // device names by id
	Live      string
	CanSync   bool
	CanIssue  bool
	CanRevoke bool
	CanRemove bool
}

type codeView struct {
	Status  provisioning.Status
	Code    string
	Link    string
	Picture template.URL
	Issued  provisioning.EnrolmentCode
}

type documentView struct {
	Status provisioning.Status
	URL    string
	Issued provisioning.DocumentLink
}

func (s *server) user(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	body, err := s.userView(r.Context(), p, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.show(w, r, p, http.StatusOK, "user", body.Status.User.Name, body)
}

func (s *server) userLive(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := s.status(r.Context(), p, access.ReadUsers, r.PathValue("id")); err != nil {
		return err
	}
	return s.live(w, r, func(ctx context.Context) (string, error) {
		body, err := s.userView(ctx, p, r.PathValue("id"))
		if err != nil {
			return "", err
		}
		return s.fragment("user", body)
	})
}

func (s *server) userView(ctx context.Context, p access.Principal, id string) (userView, error) {
	st, err := s.status(ctx, p, access.ReadUsers, id)
	if err != nil {
		return userView{}, err
	}
	entries, err := s.Provisioning.Timeline(ctx, p.Account, st.User.ID, timelineLimit)
	if err != nil {
		return userView{}, err
	}
	names := map[string]string{}
	for _, d := range st.Devices {
		names[string(d.ID)] = d.Name
	}
	return userView{
		Status: st, Next: nextStep(st), Timeline: entries, Names: names, Live: "/users/" + string(st.User.ID) + "/live",
		CanSync: may(p, access.RunSync), CanIssue: may(p, access.IssueCode), CanRevoke: may(p, access.RevokeDevice),
		CanRemove: may(p, access.ChangeUsers),
	}, nil
}

// status returns the user when the policy lets the principal use the verb on them. A foreign user and none are one.
func (s *server) status(
	ctx context.Context, p access.Principal, v access.Verb, id string,
) (provisioning.Status, error) {
	scope, err := p.May(v)
	if err != nil {
		return provisioning.Status{}, err
	}
	if !isID(id) {
		return provisioning.Status{}, provisioning.ErrNotFound
	}
	st, err := s.Provisioning.Status(ctx, p.Account, provisioning.UserID(id))
	if err == nil && scope == access.Own && st.User.Member != p.Member.ID {
		return provisioning.Status{}, provisioning.ErrNotFound
	}
	return st, err
}

// isID reports whether s can be an id at all; what cannot is not found without asking the store.
func isID(s string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, odd)
}

func kindOf(r *http.Request) cloudlink.DeviceKind {
	if r.PostFormValue("kind") == string(cloudlink.Mobile) {
		return cloudlink.Mobile
	}
	return cloudlink.Desktop
}

// issueCode shows the code on the answer to the POST itself: it is shown once and stands in no address.
func (s *server) issueCode(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	st, err := s.status(r.Context(), p, access.IssueCode, r.PathValue("id"))
	if err != nil {
		return err
	}
	c, err := s.Provisioning.IssueCode(r.Context(), p.Member, st.User.ID, kindOf(r))
	if err != nil {
		return err
	}
	picture, err := qrcode.DataURL(c.Link)
	if err != nil {
		return err
	}
	return s.show(w, r, p, http.StatusOK, "code", "Enrolment code", codeView{
		Status: st, Code: c.Code.Reveal(), Link: c.Link.Reveal(), Picture: template.URL(picture), Issued: c,
	})
}

func (s *server) issueDocument(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	st, err := s.status(r.Context(), p, access.IssueCode, r.PathValue("id"))
	if err != nil {
		return err
	}
	l, err := s.Provisioning.IssueDocumentLink(r.Context(), p.Member, st.User.ID, kindOf(r), "linphone")
	if err != nil {
		return err
	}
	return s.show(w, r, p, http.StatusOK, "document", "Linphone link", documentView{
		Status: st, URL: l.URL.Reveal(), Issued: l,
	})
}

func (s *server) syncUser(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.RunSync); err != nil {
		return err
	}
	st, err := s.status(r.Context(), p, access.ReadUsers, r.PathValue("id"))
	if err != nil {
		return err
	}
	if _, err := s.Sync.SyncNow(r.Context(), p.Account); err != nil {
		return err
	}
	http.Redirect(w, r, "/users/"+string(st.User.ID), http.StatusSeeOther)
	return nil
}

func (s *server) removeUser(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	st, err := s.status(r.Context(), p, access.ChangeUsers, r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.Provisioning.RemoveUser(r.Context(), p.Member, st.User.ID); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (s *server) revokeDevice(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	st, err := s.status(r.Context(), p, access.RevokeDevice, r.PathValue("id"))
	if err != nil {
		return err
	}
	for _, d := range st.Devices {
		if string(d.ID) != r.PathValue("device") {
			continue
		}
		if err := s.Provisioning.Revoke(r.Context(), p.Member, d.ID); err != nil {
			return err
		}
		http.Redirect(w, r, "/users/"+string(st.User.ID), http.StatusSeeOther)
		return nil
	}
	return provisioning.ErrNotFound
}
