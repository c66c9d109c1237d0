package provisioning

import (
	"fmt"
	"slices"
	"strings"

	"demarc/cloudlink"
)

// Plan is what a run of the sync would do. It is made from complete listings, never from a part of one, so that nobody loses a credential
// because a page did not arrive; who may be at a service that is away is left as he is.
type Plan struct {
	Users  []UserPlan // one for each integrated user, in the order given, but for those who are left as they are
	Having int        // users of these who have a credential now
	Losing int        // of these, users who would lose one
}

// Listing is everything that one service tells.
type Listing struct {
	Away  bool // it told nothing
	PBXs  []cloudlink.PBX
	Users []cloudlink.UserWithEndpoints
}

// UserPlan is what a run would do for one user.
type UserPlan struct {
	User          UserID
	CloudLinkUser string // matched userId at the service, or empty
	Name          string // as the service knows them
	Extension     string
	Fetch         []Fetch
	Keep          []cloudlink.DeviceKind // credentials that are good as they are
	Gaps          []Gap
	Warning       string
}

// Fetch is one credential to be fetched.
type Fetch struct {
	Service       int // whose listing it stood in
	CloudLinkUser string
	Endpoint      cloudlink.SIPEndpoint
	PBX           cloudlink.PBX
	ETag          string // to be stored as the credential's SourceETag
}

// key names an endpoint: its id may be unique within its user only, and that within its service.
func (f Fetch) key() string {
	return fmt.Sprint(f.Service, "/", f.CloudLinkUser, "/", f.Endpoint.EndpointID)
}

// NewPlan compares the integrated users and their credentials with the services' listings. It reads nothing else and
// changes nothing.
func NewPlan(users []Record, listings ...Listing) Plan {
	services := make([]*matcher, len(listings)) // nil: it is away
	for i, l := range listings {
		if !l.Away {
			services[i] = newMatcher(users, l)
		}
	}
	plan := Plan{Users: make([]UserPlan, 0, len(users))}
	for _, r := range users {
		u, sure := planUser(r, services)
		if !sure {
			continue
		}
		plan.Users = append(plan.Users, u)
		if len(r.Credentials) > 0 {
			plan.Having++
		}
		if slices.ContainsFunc(r.Credentials, func(c Credential) bool { return u.loses(c.Kind) }) {
			plan.Losing++
		}
	}
	return plan
}

// Brake reports whether so many users would lose a credential that a mistake on the PBX side is more likely than a
// wish.
func (p Plan) Brake() bool { return p.Losing > 5 && p.Losing*10 > p.Having }

// loses reports whether the plan takes the credential of a kind away.
func (u UserPlan) loses(kind cloudlink.DeviceKind) bool {
	return slices.ContainsFunc(u.Gaps, func(g Gap) bool { return g.Kind == wholeUser || g.Kind == kind })
}

// planUser returns what to do for a user, unless a service that is away may know better.
func planUser(r Record, services []*matcher) (u UserPlan, sure bool) {
	u = UserPlan{User: r.User.ID}
	service, found, gap, warning := serviceOf(r.User, services)
	if !certain(r, services, service, found) {
		return u, false
	}
	if found == nil {
		u.Gaps = []Gap{gap}
		return u, true
	}
	u.CloudLinkUser, u.Name, u.Extension, u.Warning = found.UserID, found.Name, found.Extension, warning
	if len(found.SIPEndpoints) == 0 {
		u.Gaps = []Gap{{Cause: NoEndpoint, Text: "The PBX side has no SIP endpoint for this user."}}
		return u, true
	}
	for _, kind := range []cloudlink.DeviceKind{cloudlink.Desktop, cloudlink.Mobile} {
		u.planKind(r, found, kind, service, services[service].pbxs)
	}
	return u, true
}

// certain reports whether the services that are away have no say in where a user is: there is none, or he has his credential from the one
// that was found; or that knows his email, and those that go before it have answered, or there is nothing to lose.
func certain(r Record, services []*matcher, at int, found *cloudlink.UserWithEndpoints) bool {
	away := slices.Index(services, nil)
	if away < 0 {
		return true
	}
	if found == nil {
		return false
	}
	if services[at].cameFrom(r, found) {
		return true
	}
	return canonicalEmail(found.Email) == r.User.Email && (at < away || len(r.Credentials) == 0)
}

// cameFrom reports whether a credential of the user is the service's.
func (m *matcher) cameFrom(r Record, found *cloudlink.UserWithEndpoints) bool {
	return r.User.CloudLinkUser == found.UserID && slices.ContainsFunc(r.Credentials, func(c Credential) bool {
		return slices.ContainsFunc(found.SIPEndpoints, func(ep cloudlink.SIPEndpoint) bool {
			return ep.EndpointID == c.EndpointID && ep.SIPUsername == c.SIPUsername &&
				strings.ToLower(first(ep.Domain, m.pbxs[ep.PBXID].Domain)) == c.Domain
		})
	})
}

// serviceOf returns the service that a user is at: the first that knows his email, or else the first that knows the extension which was given
// for him. When none does it is the gap that says most.
func serviceOf(u IntegratedUser, services []*matcher) (service int, found *cloudlink.UserWithEndpoints, gap Gap, warning string) {
	for i, m := range services {
		if m != nil && len(m.byEmail[u.Email]) > 0 {
			found, gap, warning = m.match(u)
			return i, found, gap, warning
		}
	}
	for i, m := range services {
		if m == nil {
			continue
		}
		at, why, told := m.match(u)
		if at != nil {
			return i, at, Gap{}, told
		}
		if gap.Cause == "" || gap.Cause == UnknownUser {
			gap = why
		}
	}
	return 0, nil, gap, ""
}

func (u *UserPlan) planKind(r Record, found *cloudlink.UserWithEndpoints, kind cloudlink.DeviceKind, service int,
	pbxs map[string]cloudlink.PBX) {
	ep, gap := chooseEndpoint(found.SIPEndpoints, kind)
	if gap.Cause != "" {
		u.Gaps = append(u.Gaps, gap)
		return
	}
	pbx, ok := pbxs[ep.PBXID]
	if !ok {
		u.Gaps = append(u.Gaps, Gap{Kind: kind, Cause: UnknownPBX, Text: fmt.Sprintf(
			"The %s endpoint belongs to PBX %q, which the service does not describe.", kind, clip(ep.PBXID, 80))})
		return
	}
	etag := sourceETag(ep, pbx)
	// Another user at the service, or one at another service, may have an endpoint that looks the same.
	if old, ok := r.Credential(kind); ok && etag != "" && old.SourceETag == etag && r.User.CloudLinkUser == found.UserID {
		u.Keep = append(u.Keep, kind)
		return
	}
	u.Fetch = append(u.Fetch, Fetch{Service: service, CloudLinkUser: found.UserID, Endpoint: ep, PBX: pbx, ETag: etag})
}

// chooseEndpoint picks a user's endpoint of one kind: one that may be used goes before one that may not.
func chooseEndpoint(endpoints []cloudlink.SIPEndpoint, kind cloudlink.DeviceKind) (cloudlink.SIPEndpoint, Gap) {
	gap := Gap{Kind: kind, Cause: NoEndpoint, Text: fmt.Sprintf("The PBX side has no %s endpoint for this user.", kind)}
	var best *cloudlink.SIPEndpoint
	for i, ep := range endpoints {
		if ep.DeviceKind != kind {
			continue
		}
		switch {
		case ep.Status == "disabled":
			gap.Cause, gap.Text = EndpointOff, fmt.Sprintf("The %s endpoint is switched off at the PBX.", kind)
		case ep.Licence == cloudlink.LicenceMissing:
			gap.Cause = LicenceMissing
			gap.Text = fmt.Sprintf("The PBX has no licence for the %s: each kind of device takes one.", kind)
		case best == nil || ep.EndpointID < best.EndpointID:
			best = &endpoints[i]
		}
	}
	if best == nil {
		return cloudlink.SIPEndpoint{}, gap
	}
	return *best, Gap{}
}

// matcher finds one service's user for an integrated user: by email, then by the extension that an admin gave.
type matcher struct {
	pbxs        map[string]cloudlink.PBX
	byEmail     map[string][]*cloudlink.UserWithEndpoints
	byExtension map[string][]*cloudlink.UserWithEndpoints
	ours        map[string]int // integrated users by email
	given       map[string]int // integrated users by given extension
}

func newMatcher(users []Record, l Listing) *matcher {
	m := &matcher{
		pbxs:    map[string]cloudlink.PBX{},
		byEmail: map[string][]*cloudlink.UserWithEndpoints{}, byExtension: map[string][]*cloudlink.UserWithEndpoints{},
		ours: map[string]int{}, given: map[string]int{},
	}
	for _, p := range l.PBXs {
		m.pbxs[p.PBXID] = p
	}
	seen := map[string]bool{} // a user may move from one page to the next while the list is read
	for i, u := range l.Users {
		if seen[u.UserID] {
			continue
		}
		seen[u.UserID] = true
		if email := canonicalEmail(u.Email); email != "" {
			m.byEmail[email] = append(m.byEmail[email], &l.Users[i])
		}
		if u.Extension != "" {
			m.byExtension[u.Extension] = append(m.byExtension[u.Extension], &l.Users[i])
		}
	}
	for _, r := range users {
		m.ours[r.User.Email]++
		if r.User.GivenExtension != "" {
			m.given[r.User.GivenExtension]++
		}
	}
	return m
}

// match returns the service's user, or the gap that says why there is none.
func (m *matcher) match(u IntegratedUser) (*cloudlink.UserWithEndpoints, Gap, string) {
	if found := m.byEmail[u.Email]; len(found) > 0 {
		if len(found) > 1 && u.GivenExtension != "" {
			found = slices.DeleteFunc(slices.Clone(found), func(f *cloudlink.UserWithEndpoints) bool {
				return f.Extension != u.GivenExtension
			})
		}
		if len(found) == 1 {
			return found[0], Gap{}, ""
		}
		return nil, Gap{Cause: Ambiguous, Text: fmt.Sprintf(
			"The service knows several users with the email %s: give the extension here, or correct the email there.",
			u.Email)}, ""
	}
	if u.GivenExtension == "" {
		return nil, Gap{Cause: UnknownUser, Text: "The service knows no user with the email " + u.Email + "."}, ""
	}
	return m.matchExtension(u)
}

func (m *matcher) matchExtension(u IntegratedUser) (*cloudlink.UserWithEndpoints, Gap, string) {
	found := m.byExtension[u.GivenExtension]
	switch {
	case len(found) == 0:
		return nil, Gap{Cause: UnknownUser, Text: fmt.Sprintf("The service knows no user with the email %s or the "+
			"extension %s.", u.Email, u.GivenExtension)}, ""
	case len(found) > 1 || m.given[u.GivenExtension] > 1:
		return nil, Gap{Cause: Ambiguous, Text: fmt.Sprintf("The extension %s fits several users: enter at the service "+
			"the email that is used here.", u.GivenExtension)}, ""
	}
	theirs := canonicalEmail(found[0].Email)
	if theirs != "" && m.ours[theirs] > 0 {
		return nil, Gap{Cause: ExtensionTaken, Text: fmt.Sprintf("The extension %s belongs to %s: correct the extension "+
			"of this user here.", u.GivenExtension, theirs)}, ""
	}
	warning := ""
	if theirs != "" {
		warning = fmt.Sprintf("Matched by the extension %s alone: at the service it belongs to %s. Make sure that this is "+
			"the same person.", u.GivenExtension, clip(theirs, 254))
	}
	return found[0], Gap{}, warning
}

func canonicalEmail(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
