package core_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"demarc/cloudlink"
	"demarc/cloudlink/pbx/core"
	"demarc/internal/account"
	"demarc/telephony/digest"
	"demarc/telephony/directory"
)

// subscribers is a directory in memory.
type subscribers struct {
	pbx  cloudlink.PBX
	list []directory.Subscriber
}

func (m *subscribers) PBX(context.Context, account.ID) (cloudlink.PBX, error) { return m.pbx, nil }

func (m *subscribers) Page(_ context.Context, _ account.ID, after string, limit int) ([]directory.Subscriber, error) {
	var page []directory.Subscriber
	for _, s := range m.list {
		if s.UserID > after && len(page) < limit {
			page = append(page, s)
		}
	}
	return page, nil
}

func (m *subscribers) User(_ context.Context, _ account.ID, userID string) (directory.Subscriber, error) {
	i := slices.IndexFunc(m.list, func(s directory.Subscriber) bool { return s.UserID == userID })
	if i < 0 {
		return directory.Subscriber{}, cloudlink.ErrNotFound
	}
	return m.list[i], nil
}

func (m *subscribers) ReplaceHashes(_ context.Context, _ account.ID, userID string, hashes []digest.Hash) error {
	for i := range m.list {
		if m.list[i].UserID == userID {
			m.list[i].Hashes, m.list[i].Version = hashes, m.list[i].Version+"+"
		}
	}
	return nil
}

func open() (*core.PBX, *subscribers) {
	m := &subscribers{pbx: cloudlink.PBX{PBXID: "p", Domain: "d", Realm: "R"}}
	for _, ext := range []string{"1001", "1002", "1003"} {
		m.list = append(m.list, directory.Subscriber{UserID: directory.UserID("acc_1", ext), Extension: ext,
			AuthUsername: ext, Realm: "R", Hashes: directory.NewHashes(ext, "R",
				"x"), Desktop: true, Mobile: true, Version: "1"})
	}
	slices.SortFunc(m.list, func(a, b directory.Subscriber) int { return strings.Compare(a.UserID, b.UserID) })
	own := func() []cloudlink.Registrar {
		return []cloudlink.Registrar{{Role: cloudlink.RoleInternal, Host: "localhost", Port: 5061, Transport: "tls"}}
	}
	return core.New(core.Config{Account: "acc_1", Subscribers: m, Registrars: own}), m
}

func TestUsersPageByPage(t *testing.T) {
	p, m := open()
	page, err := p.Users(t.Context(), "", 2)
	if err != nil || len(page) != 2 {
		t.Fatalf("%d %v", len(page), err)
	}
	rest, err := p.Users(t.Context(), page[1].UserID, 2)
	if err != nil || len(rest) != 1 || rest[0].UserID != m.list[2].UserID {
		t.Fatalf("%+v %v", rest, err)
	}
	if _, err := p.User(t.Context(), "usr_none"); !errors.Is(err, cloudlink.ErrNotFound) {
		t.Error(err)
	}
}

func TestOwnListenersUnlessTheFileNamesAddresses(t *testing.T) {
	p, m := open()
	pbx, err := p.PBX(t.Context())
	if err != nil || len(pbx.Registrars) != 1 || pbx.Registrars[0].Host != "localhost" {
		t.Errorf("%+v %v", pbx, err)
	}
	m.pbx.Registrars = []cloudlink.Registrar{{Host: "sbc.example.org"}}
	if pbx, _ = p.PBX(t.Context()); pbx.Registrars[0].Host != "sbc.example.org" {
		t.Errorf("%+v", pbx)
	}
}

func TestRotate(t *testing.T) {
	p, m := open()
	u, err := p.User(t.Context(), m.list[0].UserID)
	if err != nil {
		t.Fatal(err)
	}
	id := u.SIPEndpoints[1].EndpointID
	before, err := p.Credential(t.Context(), u.UserID, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Rotate(t.Context(), u.UserID, id); err != nil {
		t.Fatal(err)
	}
	after, err := p.Credential(t.Context(), u.UserID, id)
	if err != nil || after.ETag == before.ETag || after.Digests[0].HA1 == before.Digests[0].HA1 ||
		len(after.Digests) != 2 || after.Digests[0].Algorithm != "MD5" {
		t.Errorf("%v %v", after.Digests, err)
	}
	for _, ids := range [][2]string{{"usr_none", id}, {u.UserID, "ep_none"}, {m.list[1].UserID, id}} {
		if err := p.Rotate(t.Context(), ids[0], ids[1]); !errors.Is(err, cloudlink.ErrNotFound) {
			t.Errorf("%v: %v", ids, err)
		}
		if _, err := p.Credential(t.Context(), ids[0], ids[1]); !errors.Is(err, cloudlink.ErrNotFound) {
			t.Errorf("%v: %v", ids, err)
		}
	}
}
