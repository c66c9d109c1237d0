package cloudlinktest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"demarc/cloudlink"
)

// PBX is a phone system in memory.
type PBX struct {
	mu      sync.Mutex
	users   map[string]cloudlink.UserWithEndpoints
	rotated map[string]int
	failure error
	domain  string
}

// NewPBX returns a PBX without users.
func NewPBX(domain string) *PBX {
	return &PBX{users: make(map[string]cloudlink.UserWithEndpoints), rotated: make(map[string]int), domain: domain}
}

// Add puts users "u0000" and so on in, from first to last.
func (p *PBX) Add(first, last int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := first; n <= last; n++ {
		id := fmt.Sprintf("u%04d", n)
		extension := fmt.Sprint(2000 + n)
		u := cloudlink.UserWithEndpoints{User: cloudlink.User{
			UserID: id, Name: "User " + extension, Email: "user" + extension + "@" + p.domain, Extension: extension,
		}}
		for _, kind := range []cloudlink.DeviceKind{cloudlink.Desktop, cloudlink.Mobile} {
			u.SIPEndpoints = append(u.SIPEndpoints, cloudlink.SIPEndpoint{
				EndpointID: id + "-" + string(kind), UserID: id, DeviceKind: kind, SIPUsername: extension, AuthUsername: extension,
				Realm: p.domain, Domain: p.domain, PBXID: "pbx", Status: "active", Licence: cloudlink.LicenceOK, ETag: "0",
			})
		}
		p.users[id] = u
	}
}

// Remove takes a user out.
func (p *PBX) Remove(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.users, id)
}

// Fail makes every call answer with err, until it is nil again.
func (p *PBX) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = err
}

// PBX describes the phone system.
func (p *PBX) PBX(context.Context) (cloudlink.PBX, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return cloudlink.PBX{
		PBXID: "pbx", Type: "generic", Realm: p.domain, Domain: p.domain, SRTP: "preferred", RegistrationExpires: 300,
		Registrars: p.registrars(), KeepaliveSeconds: 30,
	}, p.failure
}

func (p *PBX) registrars() []cloudlink.Registrar {
	return []cloudlink.Registrar{{Role: cloudlink.RoleSBC, Host: "sbc." + p.domain, Port: 5061, Transport: "tls"}}
}

// Users returns a page by userId.
func (p *PBX) Users(_ context.Context, after string, limit int) ([]cloudlink.UserWithEndpoints, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var page []cloudlink.UserWithEndpoints
	for id, u := range p.users {
		if id > after {
			page = append(page, u)
		}
	}
	slices.SortFunc(page, func(a, b cloudlink.UserWithEndpoints) int { return strings.Compare(a.UserID, b.UserID) })
	return page[:min(limit, len(page))], p.failure
}

// User finds one user.
func (p *PBX) User(_ context.Context, id string) (cloudlink.UserWithEndpoints, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u, ok := p.users[id]
	if !ok {
		return u, cloudlink.ErrNotFound
	}
	return u, p.failure
}

// Credential returns an HA1 that tells how often it was rotated.
func (p *PBX) Credential(ctx context.Context, user, endpoint string) (cloudlink.Credential, error) {
	if _, err := p.User(ctx, user); err != nil {
		return cloudlink.Credential{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return cloudlink.Credential{
		Username: user, Realm: p.domain, Registrars: p.registrars(), ETag: fmt.Sprint(p.rotated[endpoint]),
		Digests: []cloudlink.Digest{{Algorithm: "MD5", HA1: fmt.Sprintf("%032x", p.rotated[endpoint])}},
	}, nil
}

// Rotate changes the credential of an endpoint; mobile ones cannot be changed.
func (p *PBX) Rotate(_ context.Context, _, endpoint string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasSuffix(endpoint, "-mobile") {
		return cloudlink.ErrReadOnly
	}
	p.rotated[endpoint]++
	return p.failure
}
