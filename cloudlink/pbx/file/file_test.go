package file_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/cloudlink/pbx/file"
)

const users = `pbx: {domain: pbx.example.org, registrars: [{host: h}]}
users:
  - {extension: "1001", name: A, email: a@b, password: one, voicemail: "99"}
  - {extension: "1002", name: B, email: b@b, password: two, licences: [desktop]}
  - {extension: "1003", name: C, email: c@b, password: three}
`

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, log *bytes.Buffer) (*file.PBX, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.yaml")
	write(t, path, users)
	p, err := file.New(file.Config{Account: "acc_1", Path: path, Recheck: time.Nanosecond,
		Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return p, path
}

func all(t *testing.T, p *file.PBX) []cloudlink.UserWithEndpoints {
	t.Helper()
	var found []cloudlink.UserWithEndpoints
	after := ""
	for {
		page, err := p.Users(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return found
		}
		found = append(found, page...)
		after = page[len(page)-1].UserID
	}
}

func TestUsersAndCredentials(t *testing.T) {
	p, _ := open(t, &bytes.Buffer{})
	found := all(t, p)
	if len(found) != 3 {
		t.Fatalf("%d users", len(found))
	}
	for _, u := range found {
		desktop, mobile := u.SIPEndpoints[0], u.SIPEndpoints[1]
		if one, err := p.User(t.Context(), u.UserID); err != nil || one.Extension != u.Extension {
			t.Errorf("%+v %v", one, err)
		}
		c, err := p.Credential(t.Context(), u.UserID, desktop.EndpointID)
		if err != nil || len(c.Digests) != 2 || c.ETag != desktop.ETag || c.Registrars[0].Port != 5061 ||
			c.Realm != "pbx.example.org" {
			t.Errorf("%+v %v", c, err)
		}
		if u.Extension == "1002" {
			if _, err := p.Credential(t.Context(), u.UserID, mobile.EndpointID); !errors.Is(err, cloudlink.ErrNotFound) {
				t.Errorf("without a licence: %v", err)
			}
		}
		if err := p.Rotate(t.Context(), u.UserID, desktop.EndpointID); !errors.Is(err, cloudlink.ErrReadOnly) {
			t.Error(err)
		}
		for _, ids := range [][2]string{{"usr_none", desktop.EndpointID}, {u.UserID, "ep_none"}} {
			if err := p.Rotate(t.Context(), ids[0], ids[1]); !errors.Is(err, cloudlink.ErrNotFound) {
				t.Errorf("%v: %v", ids, err)
			}
		}
	}
}

func TestFileIsReadAgain(t *testing.T) {
	var log bytes.Buffer
	p, path := open(t, &log)
	before := all(t, p)
	write(t, path, strings.Replace(users, "one", "changed", 1))
	after := all(t, p)
	for i := range before {
		changed := before[i].SIPEndpoints[0].ETag != after[i].SIPEndpoints[0].ETag
		if before[i].UserID != after[i].UserID || changed != (before[i].Extension == "1001") {
			t.Errorf("%s: etag changed %v", before[i].Extension, changed)
		}
	}
	write(t, path, "users: [{extension: hunter2, password: hunter2}]\n")
	if len(all(t, p)) != 3 || !strings.Contains(log.String(), "users.yaml:1:") || strings.Contains(log.String(),
		"hunter2") {
		t.Errorf("log %s", log.String())
	}
}

func TestBrokenFileAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.yaml")
	write(t, path, "users: 5\n")
	if _, err := file.New(file.Config{Path: path}); err == nil || !strings.Contains(err.Error(), "users.yaml:1:") {
		t.Error(err)
	}
	if _, err := file.New(file.Config{Path: path + "x"}); err == nil {
		t.Error("no file, no error")
	}
}
