package portal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/provisioning"
)

// world stands for the services behind the pages: one account with a user in every state.
type world struct {
	mu       sync.Mutex
	now      time.Time
	users    []provisioning.Status
	links    []connector.Connector
	sessions map[account.Secret]access.Principal
	signIns  map[account.Secret]account.Role
	members  []account.Member
	acts     []string
	report   provisioning.ImportReport
	complete error // what the end of a link answers
	fail     error // what provisioning answers
}

func newWorld() *world {
	w := &world{
		now: time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC), sessions: map[account.Secret]access.Principal{},
		signIns: map[account.Secret]account.Role{"link-owner": account.Owner},
	}
	for _, r := range []account.Role{account.Owner, account.Admin, account.Support, account.User} {
		m := account.Member{
			Account: "acc_1", ID: account.MemberID("mem_" + r), Email: string(r) + "@example.com", Role: r,
			Name: map[account.Role]string{
				account.Owner: "Olivia Owner", account.Admin: "Adam Admin", account.Support: "Sue Support",
				account.User: "Ursula User",
			}[r],
		}
		w.members = append(w.members, m)
		w.sessions[account.Secret("cookie-"+r)] = access.OfMember(m, "ses_"+string(r))
	}
	w.addUser("Ann Berg", "mem_ann", provisioning.Registered, 0, "Registered with sbc.example.com over TLS.", time.Minute)
	w.addUser("Ben <script>alert(1)</script>", "mem_ben", provisioning.SIPError, 401, "The phone's SIP credential "+
		"does not match the PBX: the password was changed there, or realm or algorithm differ.", 12*time.Second)
	w.addUser("Carla Diaz", "mem_carla", provisioning.Inactive, 0, "Never registered.", 3*time.Hour)
	w.addUser("Ursula User", "mem_user", provisioning.Pending, 0, "Waiting for the PBX admin to give this user a "+
		"licence, for 2 days.", 48*time.Hour)
	w.links = []connector.Connector{{
		Account: "acc_1", ID: "con_1", Name: "Head office", BaseURL: "https://cloudlink.example.com",
		State: connector.Linked, ChangedAt: w.now.Add(-26 * time.Hour),
	}}
	return w
}

func (w *world) addUser(name string, m account.MemberID, s provisioning.SyncState, code int, text string,
	since time.Duration,
) {
	n := len(w.users)
	st := provisioning.Status{
		User: provisioning.IntegratedUser{
			Account: "acc_1", ID: provisioning.UserID(fmt.Sprintf("usr_%d", n)), Member: m, Name: name,
			Email: strings.TrimPrefix(string(m), "mem_") + "@example.com", Extension: fmt.Sprint(200 + n),
			LastSync: w.now.Add(-5 * time.Minute),
		},
		State: s, SIPCode: code, Text: text, Changed: w.now.Add(-since),
	}
	if s == provisioning.Registered || s == provisioning.SIPError {
		st.Device = "Laptop"
		st.Devices = []provisioning.Device{{
			Account: "acc_1", ID: provisioning.DeviceID(fmt.Sprintf("dev_%d", n)), User: st.User.ID, Name: "Laptop",
			Kind: cloudlink.Desktop, Origin: provisioning.OriginSDK, State: s, SIPCode: code, SIPText: text,
			LastRegistered: w.now.Add(-time.Hour), UserAgent: "Linphone/5.1", Remote: "192.0.2.7:51022", Transport: "tls",
		}}
	}
	w.users = append(w.users, st)
}

func (w *world) did(what string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acts = append(w.acts, fmt.Sprintf(what, args...))
}

func (w *world) doings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acts)
}

func (w *world) SignIn(_ context.Context, link, old account.Secret) (account.Secret, access.Principal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.signIns[link]
	if !ok {
		return "", access.Principal{}, access.ErrLinkUsed
	}
	delete(w.signIns, link)
	delete(w.sessions, old)
	i := slices.IndexFunc(w.members, func(m account.Member) bool { return m.Role == r })
	p := access.OfMember(w.members[i], "ses_n")
	w.sessions["fresh"] = p
	return "fresh", p, nil
}

func (w *world) Authenticate(ctx context.Context, cookie account.Secret) (access.Principal, error) {
	return w.Peek(ctx, cookie)
}

func (w *world) Peek(_ context.Context, cookie account.Secret) (access.Principal, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.sessions[cookie]
	if !ok {
		return p, access.ErrNoSession
	}
	return p, nil
}

func (w *world) SignOut(_ context.Context, p access.Principal) error {
	w.did("sign out %s", p.Session)
	return nil
}

func (w *world) Members(context.Context, account.ID) ([]account.Member, error) {
	return w.members, w.fail
}

func (w *world) AddMember(
	_ context.Context, p access.Principal, email, _ string, r account.Role,
) (account.Member, error) {
	if _, err := p.May(access.AddMember); err != nil {
		return account.Member{}, err
	}
	w.did("add member %s %s", email, r)
	return account.Member{}, w.fail
}

func (w *world) AddUser(_ context.Context, _ account.Member, u provisioning.NewUser) (
	provisioning.IntegratedUser, error,
) {
	w.did("add user %s %s %s", u.Email, u.Name, u.Extension)
	return provisioning.IntegratedUser{ID: "usr_0"}, w.fail
}

func (w *world) RemoveUser(_ context.Context, _ account.Member, id provisioning.UserID) error {
	w.did("remove %s", id)
	return w.fail
}

func (w *world) Import(
	_ context.Context, _ account.Member, r io.Reader, name string, dry bool,
) (provisioning.ImportReport, error) {
	raw, _ := io.ReadAll(r)
	w.did("import %s %q dry=%v", name, raw, dry)
	w.report.DryRun = dry
	return w.report, w.fail
}

func (w *world) Statuses(
	_ context.Context, _ account.ID, f provisioning.StatusFilter,
) (provisioning.StatusPage, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	page := provisioning.StatusPage{Counts: map[provisioning.SyncState]int{}}
	for _, st := range w.users {
		page.Counts[st.State]++
		text := strings.ToLower(st.User.Name + st.User.Email + st.User.Extension)
		matches := strings.Contains(text, strings.ToLower(f.Search))
		if matches && (len(f.States) == 0 || slices.Contains(f.States, st.State)) {
			page.Users = append(page.Users, st)
		}
	}
	return page, w.fail
}

func (w *world) Status(_ context.Context, id account.ID, user provisioning.UserID) (provisioning.Status, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, st := range w.users {
		if st.User.ID == user && st.User.Account == id {
			return st, w.fail
		}
	}
	return provisioning.Status{}, provisioning.ErrNotFound
}

func (w *world) IssueCode(
	_ context.Context, _ account.Member, u provisioning.UserID, k cloudlink.DeviceKind,
) (provisioning.EnrolmentCode, error) {
	w.did("code %s %s", u, k)
	link := "demarc://demarc.example.com:8443/enrol?code=ABCD-EFGH-JKMN&ca=" + strings.Repeat("MIIBtz", 100)
	return provisioning.EnrolmentCode{
		Code: "ABCD-EFGH-JKMN", Link: account.Secret(link), User: u, Kind: k, ExpiresAt: w.now.Add(24 * time.Hour),
	}, w.fail
}

func (w *world) IssueDocumentLink(
	_ context.Context, _ account.Member, u provisioning.UserID, k cloudlink.DeviceKind, app string,
) (provisioning.DocumentLink, error) {
	w.did("document %s %s %s", u, k, app)
	return provisioning.DocumentLink{
		URL: "https://demarc.example.com:8443/provision/abcdefgh", App: app, User: u, ExpiresAt: w.now.Add(time.Hour),
	}, w.fail
}

func (w *world) Revoke(_ context.Context, _ account.Member, d provisioning.DeviceID) error {
	w.did("revoke %s", d)
	return w.fail
}

func (w *world) Timeline(context.Context, account.ID, provisioning.UserID, int) ([]timeline.Entry, error) {
	return []timeline.Entry{
		{At: w.now.Add(-12 * time.Second), Kind: timeline.SIPError, Device: "dev_1", Code: 401, Text: "The phone's SIP " +
			"credential does not match the PBX."},
		{At: w.now.Add(-time.Hour), Kind: timeline.Registered, Device: "dev_1", Text: "Registered over TLS."},
		{At: w.now.Add(-2 * time.Hour), Kind: timeline.Enrolled, Device: "dev_1", Text: "Enrolled with a one-time code."},
		{At: w.now.Add(-3 * time.Hour), Kind: timeline.CredentialSynced, Text: "A SIP credential arrived from the PBX."},
		{At: w.now.Add(-4 * time.Hour), Kind: timeline.Added, Text: "Put on the integration."},
	}, w.fail
}

func (w *world) SyncRuns(context.Context, account.ID, int) ([]provisioning.SyncRun, error) {
	return []provisioning.SyncRun{
		{StartedAt: w.now.Add(-5 * time.Minute), EndedAt: w.now, Looked: 4, Changed: 1, Pending: 1},
		{StartedAt: w.now.Add(-65 * time.Minute), EndedAt: w.now, Looked: 4, Error: "the service cannot be reached"},
	}, w.fail
}

func (w *world) SyncNow(_ context.Context, _ account.ID, o ...provisioning.SyncOption) (provisioning.SyncRun, error) {
	w.did("sync")
	if len(o) > 0 && errors.Is(w.fail, provisioning.ErrMassLoss) {
		return provisioning.SyncRun{}, nil
	}
	return provisioning.SyncRun{}, w.fail
}

func (w *world) Install(context.Context, account.Member) error {
	w.did("install")
	return w.fail
}

func (w *world) Installed(context.Context, account.ID) (bool, error) { return true, w.fail }

func (w *world) Create(_ context.Context, _ account.Member, name, base string) (connector.Connector, error) {
	w.did("create %s %s", name, base)
	return connector.Connector{}, w.fail
}

func (w *world) List(context.Context, account.ID) ([]connector.Connector, error) {
	return w.links, w.fail
}

func (w *world) Connector(
	_ context.Context, _ account.ID, id connector.ID,
) (connector.Connector, []connector.Grant, error) {
	return w.links[0], []connector.Grant{
		{ID: "gra_2", Email: "pbx-admin@example.com", GrantedBy: "mem_admin", GrantedAt: w.now.Add(-26 * time.Hour)},
		{
			ID: "gra_1", Email: "former@example.com", GrantedBy: "mem_owner", GrantedAt: w.now.Add(-900 * time.Hour),
			EndedAt: w.now.Add(-27 * time.Hour), EndReason: "the person left",
		},
	}, w.fail
}

func (w *world) Begin(_ context.Context, _ account.Member, session string, id connector.ID) (string, error) {
	w.did("begin %s %s", session, id)
	return "https://cloudlink.example.com/authorize?state=x", w.fail
}

func (w *world) Complete(
	_ context.Context, _ account.Member, session string, cb connector.Callback,
) (connector.Connector, connector.Grant, error) {
	w.did("complete %s %s %s", session, cb.State, cb.Issuer)
	return connector.Connector{}, connector.Grant{}, w.complete
}

func (w *world) Disconnect(_ context.Context, _ account.Member, id connector.ID) error {
	w.did("disconnect %s", id)
	return w.fail
}
