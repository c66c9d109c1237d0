package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/provisioning"
	"demarc/telephony/digest"
)

// world is two accounts with their people, devices and connectors. It stands for the services behind the routes.
type world struct {
	now      time.Time
	devices  []provisioning.Device // token: "token-" + id
	users    []provisioning.Status
	sessions map[account.Secret]access.Principal
	links    []connector.Connector
	pending  bool
	fail     error // what every service answers, when set
	acts     []string
	reports  []provisioning.RegistrationReport
	importOf provisioning.ImportReport
}

const canaryHA1 = "0123456789abcdef0123456789abcdef"

func newWorld() *world {
	w := &world{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), sessions: map[account.Secret]access.Principal{}}
	for _, a := range []account.ID{"acc_one", "acc_two"} {
		for _, name := range []string{"ann", "bob"} {
			user := provisioning.UserID("usr_" + name + "_" + string(a[4:]))
			member := account.MemberID("mem_" + name + "_" + string(a[4:]))
			d := provisioning.Device{
				Account: a, ID: provisioning.DeviceID("dev_" + name + "_" + string(a[4:])), User: user, Name: "Laptop",
				Kind: cloudlink.Desktop, Instance: "urn:uuid:1", State: provisioning.Registered, ChangedAt: w.now,
			}
			w.devices = append(w.devices, d)
			w.users = append(w.users, provisioning.Status{
				User: provisioning.IntegratedUser{
					Account: a, ID: user, Member: member, Email: name + "@example.com", Name: name, Extension: "200",
				},
				State: provisioning.Registered, Devices: []provisioning.Device{d}, Changed: w.now,
			})
		}
		w.links = append(w.links, connector.Connector{Account: a, ID: connector.ID("con_" + string(a[4:])), Name: "PBX"})
		for _, r := range []account.Role{account.Owner, account.Admin, account.Support, account.User} {
			cookie := account.Secret("cookie-" + string(r) + "-" + string(a[4:]))
			m := account.Member{Account: a, ID: account.MemberID("mem_" + string(r)), Email: string(r) + "@x", Role: r}
			if r == account.User {
				m.ID, m.Email = account.MemberID("mem_ann_"+string(a[4:])), "ann@example.com"
			}
			w.sessions[cookie] = access.OfMember(m, "ses_1")
		}
	}
	return w
}

func (w *world) did(what string, args ...any) { w.acts = append(w.acts, fmt.Sprintf(what, args...)) }

// identity has its own Authenticate beside the one of devices.
type identity struct{ *world }

func (w identity) Authenticate(_ context.Context, cookie account.Secret) (access.Principal, error) {
	if w.fail != nil {
		return access.Principal{}, w.fail
	}
	p, ok := w.sessions[cookie]
	if !ok {
		return p, access.ErrNoSession
	}
	return p, nil
}

func (w identity) Account(_ context.Context, ref string) (access.Account, error) {
	switch ref {
	case "acc_one", "one.example":
		return access.Account{ID: "acc_one", Domain: "one.example"}, nil
	case "":
		return access.Account{}, fmt.Errorf("%w: there are 2 accounts: name one", access.ErrInvalid)
	}
	return access.Account{}, fmt.Errorf("%w: no account %q", access.ErrNotFound, ref)
}

func (w identity) Accounts(context.Context) ([]access.Account, error) {
	return []access.Account{{ID: "acc_one"}, {ID: "acc_two"}}, w.fail
}

func (w identity) CreateAccount(_ context.Context, name, domain, owner string) (access.Account, error) {
	w.did("create account %s %s %s", name, domain, owner)
	return access.Account{ID: "acc_new", Name: name, Domain: domain, CreatedAt: w.now}, w.fail
}

func (w identity) IssueSignIn(_ context.Context, id account.ID, email string) (
	account.Secret, access.SignInLink, error,
) {
	w.did("sign-in link %s %s", id, email)
	return "canary-sign-in", access.SignInLink{ExpiresAt: w.now.Add(time.Minute)}, w.fail
}

func (w identity) Members(_ context.Context, id account.ID) ([]account.Member, error) {
	return []account.Member{{Account: id, ID: "mem_owner", Role: account.Owner}}, w.fail
}

func (w identity) AddMember(
	_ context.Context, p access.Principal, email, _ string, r account.Role,
) (account.Member, error) {
	w.did("add member %s %s", email, r)
	return account.Member{Account: p.Account, ID: "mem_new", Email: email, Role: r}, w.fail
}

func (w *world) Enrol(_ context.Context, code account.Secret, name string) (provisioning.Enrolment, error) {
	if w.fail != nil {
		return provisioning.Enrolment{}, w.fail
	}
	if code != "ABCD-EFGH-JKMN" {
		return provisioning.Enrolment{}, provisioning.ErrExpired
	}
	d := w.devices[0]
	d.Name = name
	return provisioning.Enrolment{Device: d, Token: "token-" + account.Secret(d.ID)}, nil
}

func (w *world) Authenticate(_ context.Context, token account.Secret) (provisioning.Device, error) {
	if w.fail != nil {
		return provisioning.Device{}, w.fail
	}
	i := slices.IndexFunc(w.devices, func(d provisioning.Device) bool { return token == "token-"+account.Secret(d.ID) })
	if i < 0 {
		return provisioning.Device{}, provisioning.ErrNotFound
	}
	return w.devices[i], nil
}

func (w *world) Credential(ctx context.Context, f provisioning.Fetching) (provisioning.Handout, error) {
	d, err := w.Authenticate(ctx, f.Token)
	if err != nil {
		return provisioning.Handout{}, err
	}
	if err := f.May(d); err != nil {
		return provisioning.Handout{}, err
	}
	if w.pending {
		return provisioning.Handout{}, &provisioning.PendingError{Reason: "Waiting for the PBX admin since Monday."}
	}
	h := provisioning.Handout{
		Device: w.devices[0], User: w.users[0].User, ETag: "e1", CAPEM: []byte("PEM"),
		Credential: provisioning.Credential{
			Account: d.Account, SIPUsername: "200", AuthUsername: "200", Realm: "one.example", Domain: "one.example",
			Hashes:     []digest.Hash{{Algorithm: digest.MD5, Realm: "one.example", HA1: canaryHA1}},
			Registrars: []cloudlink.Registrar{{Role: cloudlink.RoleSBC, Host: "sbc.example", Port: 5061, Transport: "tls"}},
			SRTP:       "required", RegisterExpires: 600, Keepalive: 25,
		},
	}
	if f.Known(h.ETag) {
		h.Credential.Hashes = nil
	}
	return h, nil
}

func (w *world) Report(
	_ context.Context, _ account.ID, d provisioning.DeviceID, r provisioning.RegistrationReport,
) error {
	w.did("report %s", d)
	w.reports = append(w.reports, r)
	return w.fail
}

func (w *world) Document(_ context.Context, token account.Secret) (provisioning.Document, error) {
	if token != "canary-document" {
		return provisioning.Document{}, provisioning.ErrExpired
	}
	w.did("document")
	return provisioning.Document{ContentType: "application/xml", Body: []byte("<config/>")}, nil
}

func (w *world) AddUser(_ context.Context, actor account.Member, u provisioning.NewUser) (
	provisioning.IntegratedUser, error,
) {
	w.did("add user %s by %s", u.Email, actor.ID)
	return w.users[0].User, w.fail
}

func (w *world) RemoveUser(_ context.Context, _ account.Member, id provisioning.UserID) error {
	w.did("remove user %s", id)
	return w.fail
}

func (w *world) Import(
	_ context.Context, _ account.Member, r io.Reader, name string, dry bool,
) (provisioning.ImportReport, error) {
	raw, err := io.ReadAll(r)
	w.did("import %s %d bytes dry=%v", name, len(raw), dry)
	w.importOf.DryRun = dry
	return w.importOf, errors.Join(err, w.fail)
}

func (w *world) Statuses(
	_ context.Context, id account.ID, f provisioning.StatusFilter,
) (provisioning.StatusPage, error) {
	w.did("statuses %v %q", f.States, f.Search)
	page := provisioning.StatusPage{Counts: map[provisioning.SyncState]int{}}
	for _, st := range w.users {
		if st.User.Account == id {
			page.Users = append(page.Users, st)
			page.Counts[st.State]++
		}
	}
	return page, w.fail
}

func (w *world) Status(_ context.Context, id account.ID, user provisioning.UserID) (provisioning.Status, error) {
	for _, st := range w.users {
		if st.User.Account == id && st.User.ID == user {
			return st, w.fail
		}
	}
	return provisioning.Status{}, errors.Join(provisioning.ErrNotFound, w.fail)
}

func (w *world) IssueCode(
	_ context.Context, _ account.Member, u provisioning.UserID, kind cloudlink.DeviceKind,
) (provisioning.EnrolmentCode, error) {
	w.did("code %s %s", u, kind)
	return provisioning.EnrolmentCode{
		Code: "ABCD-EFGH-JKMN", Link: "demarc://h/enrol?code=ABCD-EFGH-JKMN", User: u, Kind: kind, ExpiresAt: w.now,
	}, w.fail
}

func (w *world) IssueDocumentLink(
	_ context.Context, _ account.Member, u provisioning.UserID, kind cloudlink.DeviceKind, app string,
) (provisioning.DocumentLink, error) {
	w.did("document link %s %s %s", u, kind, app)
	return provisioning.DocumentLink{URL: "https://h/provision/x", App: app, ExpiresAt: w.now}, w.fail
}

func (w *world) Revoke(_ context.Context, actor account.Member, d provisioning.DeviceID) error {
	w.did("revoke %s by %s", d, actor.ID)
	return w.fail
}

func (w *world) Timeline(
	context.Context, account.ID, provisioning.UserID, int,
) ([]timeline.Entry, error) {
	return []timeline.Entry{{At: w.now, Kind: timeline.Registered, Text: "registered"}}, w.fail
}

func (w *world) SyncRuns(context.Context, account.ID, int) ([]provisioning.SyncRun, error) {
	return []provisioning.SyncRun{{ID: "run_1", StartedAt: w.now}}, w.fail
}

func (w *world) SyncNow(_ context.Context, id account.ID, opts ...provisioning.SyncOption) (provisioning.SyncRun, error) {
	w.did("sync %s %d", id, len(opts))
	return provisioning.SyncRun{ID: "run_2", StartedAt: w.now}, w.fail
}

func (w *world) Install(_ context.Context, m account.Member) error {
	w.did("install %s", m.Account)
	return w.fail
}

func (w *world) Installed(context.Context, account.ID) (bool, error) { return true, w.fail }

func (w *world) Create(_ context.Context, m account.Member, name, base string) (connector.Connector, error) {
	w.did("create connector %s %s", name, base)
	return connector.Connector{Account: m.Account, ID: "con_new", Name: name, BaseURL: base}, w.fail
}

func (w *world) List(_ context.Context, id account.ID) ([]connector.Connector, error) {
	return slices.DeleteFunc(slices.Clone(w.links), func(c connector.Connector) bool { return c.Account != id }), w.fail
}

func (w *world) Connector(
	_ context.Context, id account.ID, c connector.ID,
) (connector.Connector, []connector.Grant, error) {
	for _, l := range w.links {
		if l.Account == id && l.ID == c {
			return l, []connector.Grant{{ID: "gra_1", Email: "admin@pbx.example"}}, w.fail
		}
	}
	return connector.Connector{}, nil, errors.Join(connector.ErrNotFound, w.fail)
}

func (w *world) Begin(_ context.Context, _ account.Member, session string, id connector.ID) (string, error) {
	w.did("begin %s %s", session, id)
	return "https://cloudlink.example/authorize?state=x", w.fail
}

func (w *world) Disconnect(_ context.Context, _ account.Member, id connector.ID) error {
	w.did("disconnect %s", id)
	return w.fail
}
