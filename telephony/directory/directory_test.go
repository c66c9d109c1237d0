package directory_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/telephony/digest"
	"demarc/telephony/directory"
)

var defaults = cloudlink.PBX{Domain: "PBX.example.org", Registrars: []cloudlink.Registrar{
	{Role: cloudlink.RoleSBC, Host: "localhost", Port: 5061, Transport: "tls"}}}

func TestExamples(t *testing.T) {
	for name, want := range map[string]int{"users.yaml": 25, "users.csv": 5} {
		d, err := directory.ReadFile(filepath.Join("../../docs/examples", name), "acc_1", defaults)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Subscribers) != want || d.PBX.Domain != "pbx.example.org" || d.PBX.Realm != "pbx.example.org" ||
			d.PBX.RegistrationExpires != 600 || d.PBX.Registrars[0].Port != 5061 {
			t.Errorf("%s: %d subscribers of %+v", name, len(d.Subscribers), d.PBX)
		}
		seen := map[string]bool{}
		for _, s := range d.Subscribers {
			for _, h := range s.Hashes {
				if h.Validate() != nil || seen[h.HA1.Reveal()] {
					t.Errorf("%s: extension %s has a bad or repeated hash", name, s.Extension)
				}
				seen[h.HA1.Reveal()] = true
			}
		}
	}
}

const yamlHead = "pbx:\n  domain: pbx.example.org\n  realm: R\nusers:\n"

func TestPasswordBecomesHA1(t *testing.T) {
	for name, text := range map[string]string{
		"users.yaml": yamlHead + "  - {extension: '1001', name: A, email: A@Example.org, password: 'p:w'}\n",
		"users.csv":  "\ufeffextension;name;email;password;realm\n1001;A;A@Example.org;p:w;R\n",
		"tab.csv":    "Extension\tName\tEmail\tPassword\tRealm\n1001\tA\tA@Example.org\tp:w\tR\n",
		"comma.csv":  "extension,name,email,password,realm\n1001,A,A@Example.org,p:w,R\n",
	} {
		t.Run(name, func(t *testing.T) {
			d, err := directory.Parse(name, []byte(text), "acc_1", defaults)
			if err != nil {
				t.Fatal(err)
			}
			s := d.Subscribers[0]
			want := []digest.Hash{digest.NewHash(digest.MD5, "1001", "R", "p:w"), digest.NewHash(digest.SHA256, "1001",
				"R", "p:w")}
			if len(s.Hashes) != 2 || s.Hashes[0] != want[0] || s.Hashes[1] != want[1] {
				t.Error("wrong hashes")
			}
			if s.Email != "a@example.org" || s.AuthUsername != "1001" || !s.Desktop || !s.Mobile ||
				s.UserID != directory.UserID("acc_1", "1001") {
				t.Errorf("%+v", s)
			}
			if strings.Contains(fmt.Sprintf("%#v", struct{ s any }{s}), "p:w") {
				t.Error("the password is still there")
			}
		})
	}
}

func TestHashesAsWritten(t *testing.T) {
	md5 := digest.NewHash(digest.MD5, "u", "R", "x").HA1.Reveal()
	sha := digest.NewHash(digest.SHA256, "u", "R", "x").HA1.Reveal()
	text := yamlHead + "  - {extension: 1001, name: A, email: a@b, auth_username: u, realm: R, ha1: " +
		strings.ToUpper(md5) +
		", algorithm: md5, licences: []}\n" +
		"  - extension: 0100\n    name: B\n    email: b@b\n    hashes:\n      - {algorithm: MD5, realm: Q, ha1: " + md5 +
		"}\n      - {algorithm: SHA-256, realm: Q, ha1: " + sha + "}\n"
	d, err := directory.Parse("users.yaml", []byte(text), "acc_1", defaults)
	if err != nil {
		t.Fatal(err)
	}
	a, b := d.Subscribers[0], d.Subscribers[1]
	if a.Hashes[0] != (digest.Hash{Algorithm: digest.MD5, Realm: "R", HA1: account.Secret(md5)}) || a.Desktop ||
		a.Mobile ||
		a.AuthUsername != "u" {
		t.Errorf("%+v", a)
	}
	if b.Extension != "0100" || b.Realm != "Q" || len(b.Hashes) != 2 || b.Hashes[1].Algorithm != digest.SHA256 {
		t.Errorf("%+v", b)
	}
}

func TestMistakesHaveAPlace(t *testing.T) {
	ok := "  - {extension: '1001', name: A, email: a@b, password: hunter2}\n"
	tests := []struct{ name, file, text, want string }{
		{"unknown key", "u.yaml", yamlHead + ok + "  - extension: '1'\n    pasword: hunter2\n",
			`u.yaml:7:5: unknown field "pasword"`},
		{"unknown section", "u.yaml", "people: []\nusers: []\n", `u.yaml:1:1: unknown key "people"`},
		{"syntax", "u.yaml", "users:\n  - {extension: '1001', password: hunter2\n", "u.yaml:2:"},
		{"no realm", "u.yaml", yamlHead + "  - extension: '1001'\n    name: A\n" +
			"    email: a@b\n    ha1: 0123456789abcdef0123456789abcdef\n    algorithm: MD5\n",
			"u.yaml:8:10: an ha1 needs its realm and its algorithm"},
		{"no algorithm", "u.yaml", yamlHead +
			"  - {extension: '1001', name: A, email: a@b, realm: R, ha1: 0123456789abcdef0123456789abcdef}\n",
			"u.yaml:5:"},
		{"short ha1", "u.yaml", yamlHead +
			"  - {extension: '1001', name: A, email: a@b, realm: R, algorithm: MD5, ha1: abc}\n", "32 lower-case hex"},
		{"both", "u.yaml", yamlHead +
			"  - {extension: '1001', name: A, email: a@b, realm: R, algorithm: MD5, ha1: abc, password: x}\n", "either password"},
		{"none", "u.yaml", yamlHead + "  - {extension: '1001', name: A, email: a@b}\n", "either password"},
		{"twice", "u.yaml", yamlHead + ok + "  - {extension: '1001', name: B, email: A@b, password: x}\n",
			`u.yaml:6:17: extension "1001" stands twice: first on line 5`},
		{"same email", "u.yaml", yamlHead + ok + "  - {extension: '1002', name: B, email: A@b, password: x}\n",
			`email "a@b" stands twice`},
		{"licence", "u.yaml", yamlHead + "  - {extension: '1', name: A, email: a@b, password: x, licences: [fax]}\n",
			`unknown licence "fax"`},
		{"srtp", "u.yaml", yamlHead + "  - {extension: '1', name: A, email: a@b, password: x, srtp: sometimes}\n",
			`u.yaml:5:62: srtp "sometimes" is unknown`},
		{"csv srtp", "u.csv", "extension,name,email,password,srtp\n1,A,a@b,x,yes\n", `u.csv:2:11: srtp "yes" is unknown`},
		{"extension", "u.yaml", yamlHead + "  - {extension: '10 01', name: A, email: a@b, password: x}\n",
			"u.yaml:5:17: extension must be"},
		{"email", "u.yaml", yamlHead + "  - {extension: '1001', name: A, email: nobody, password: x}\n",
			"email must be one address"},
		{"type", "u.yaml", "pbx: {type: fax, domain: d}\nusers: []\n", `u.yaml:1:13: type "fax" is unknown`},
		{"port", "u.yaml", "pbx: {domain: d, registrars: [{host: h, port: 70000}]}\nusers: []\n", "port 70000"},
		{"path", "u.yaml", "pbx: {domain: d, registrars: [{host: h, path: /sip}]}\nusers: []\n", `path "/sip" is for wss`},
		{"expires", "u.yaml", "pbx: {domain: d, registration_expires: 5}\nusers: []\n", "60 to 86400"},
		{"not a list", "u.yaml", "users: 5\n", "users must be a list"},
		{"empty", "u.yaml", "", "one YAML document"},
		{"csv row", "u.csv", "extension,name,email,password\n1001,A,a@b,x\n1002,B,nobody,x\n", "u.csv:3:8: email must be"},
		{"csv length", "u.csv", "extension,name,email,password\n1001,A,a@b\n", "u.csv:2:1: wrong number of fields"},
		{"csv column", "u.csv", "extension,nmae\n", `u.csv:1:11: unknown column "nmae"`},
		{"csv column twice", "u.csv", "extension,name,Name\n", "stands twice"},
		{"csv without extension", "u.csv", "name,email\n", "no column extension"},
		{"csv quote", "u.csv", "extension,name,email,password\n1001,\"A,a@b,hunter2\n", "u.csv:"},
		{"csv empty", "u.csv", "", "first line must name the columns"},
		{"xlsx", "u.csv", "PK\x03\x04rest", "save it as CSV UTF-8"},
		{"utf-16", "u.csv", "\xff\xfee\x00", "UTF-16"},
		{"latin-1", "u.csv", "extension,name\n1,J\xf6rg\n", "not UTF-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, err := directory.Parse(test.file, []byte(test.text), "acc_1", defaults)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v\nwant  %s", err, test.want)
			}
			var e *directory.Error
			if !errors.As(err, &e) || len(d.Subscribers) != 0 {
				t.Errorf("%T with %d subscribers", err, len(d.Subscribers))
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestAllMistakesAtOnceButNotEndlessly(t *testing.T) {
	text := "extension,name,email,password\n" + strings.Repeat("?,A,a@b,x\n", 100)
	_, err := directory.Parse("u.csv", []byte(text), "acc_1", defaults)
	if lines := strings.Count(err.Error(), "\n"); lines < 10 || lines > 25 || !strings.Contains(err.Error(),
		"more mistakes") {
		t.Errorf("%d lines: %v", lines, err)
	}
}

func TestSpreadsheetApostrophe(t *testing.T) {
	text := "extension,name,email,password,caller_id\n'+1001,A,a@b,'-x,'+4930\n"
	d, err := directory.Parse("u.csv", []byte(text), "acc_1", defaults)
	if err != nil {
		t.Fatal(err)
	}
	s := d.Subscribers[0]
	if s.Extension != "+1001" || s.CallerID != "+4930" ||
		s.Hashes[0] != digest.NewHash(digest.MD5, "+1001", "pbx.example.org", "'-x") {
		t.Errorf("%+v", s)
	}
}

func TestEndpoints(t *testing.T) {
	pbx := cloudlink.PBX{PBXID: "p", Realm: "R", Domain: "d"}
	s := directory.Subscriber{UserID: "usr_1", Extension: "1001", AuthUsername: "u", Realm: "R", Desktop: true,
		Version: "1",
		Hashes:  directory.NewHashes("u", "R", "x")}
	u := s.Endpoints("acc_1", pbx)
	if len(u.SIPEndpoints) != 2 || u.SIPEndpoints[0].Licence != cloudlink.LicenceOK ||
		u.SIPEndpoints[1].Licence != cloudlink.LicenceMissing || u.AccountID != "acc_1" {
		t.Fatalf("%+v", u)
	}
	c, err := s.Credential(u.SIPEndpoints[0].EndpointID, pbx)
	if err != nil || len(c.Digests) != 2 || c.Username != "u" || c.ETag != u.SIPEndpoints[0].ETag {
		t.Errorf("%+v %v", c, err)
	}
	for _, id := range []string{u.SIPEndpoints[1].EndpointID, "ep_2_desktop", ""} {
		if _, err := s.Credential(id, pbx); !errors.Is(err, cloudlink.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	rotated := s
	rotated.Version, rotated.Hashes = "2", s.Rotated()
	moved := pbx
	moved.Registrars = defaults.Registrars
	again, _ := rotated.Credential(u.SIPEndpoints[0].EndpointID, pbx)
	elsewhere, _ := s.Credential(u.SIPEndpoints[0].EndpointID, moved)
	if again.ETag == c.ETag || elsewhere.ETag == c.ETag || again.Digests[0] == c.Digests[0] {
		t.Error("the etag must change with the credential and the addresses")
	}
	if s.Fingerprint() == rotated.Fingerprint() {
		t.Error("the fingerprint must change with the hashes")
	}
}

// TestSRTPOfOneUser also holds that who has none keeps fingerprint and etag of before there was such a setting.
func TestSRTPOfOneUser(t *testing.T) {
	for name, text := range map[string]string{
		"u.yaml": yamlHead + "  - {extension: 1001, name: A, email: a@b, password: x, srtp: Required}\n  - {extension: 1002, name: B, email: b@b, password: x}\n",
		"u.csv":  "extension,name,email,password,srtp\n1001,A,a@b,x,required\n1002,B,b@b,x,\n",
	} {
		d, err := directory.Parse(name, []byte(text), "acc_1", defaults)
		if err != nil {
			t.Fatal(err)
		}
		set, free := d.Subscribers[0], d.Subscribers[1]
		if set.SRTP != "required" || free.SRTP != "" {
			t.Errorf("%s: %q and %q", name, set.SRTP, free.SRTP)
		}
		u := set.Endpoints("acc_1", d.PBX)
		c, err := set.Credential(u.SIPEndpoints[0].EndpointID, d.PBX)
		if err != nil || c.SRTP != "required" {
			t.Errorf("%s: the credential says %q, %v", name, c.SRTP, err)
		}
		off := set
		off.SRTP = "off"
		if off.Fingerprint() == set.Fingerprint() || off.Endpoints("acc_1", d.PBX).SIPEndpoints[0].ETag == u.SIPEndpoints[0].ETag {
			t.Errorf("%s: the setting changes neither fingerprint nor etag", name)
		}
	}
	old := directory.Subscriber{UserID: "usr_1", Extension: "1001", AuthUsername: "u", Realm: "R", Version: "1"}
	if got := old.Fingerprint().Reveal(); got != "acc2e58b85f580108999d2653afdae8388e9d3abb12bae969c8af7f6fbf1a36c" {
		t.Errorf("fingerprint %s: a rotated credential would be undone by the next reading of the file", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("u.yaml", yamlHead+"  - {extension: '1001', name: A, email: a@b, password: x}\n")
	f.Add("u.csv", "extension,name,email,password\n1001,A,a@b,x\n")
	f.Add("u.csv", "extension;\"na\"\"me\"\n1001;\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		d, err := directory.Parse(name, []byte(text), "acc_1", defaults)
		if err != nil {
			return
		}
		for _, s := range d.Subscribers {
			if s.Extension == "" || s.UserID == "" || len(s.Hashes) == 0 {
				t.Fatalf("%+v", s)
			}
		}
	})
}

func TestBrake(t *testing.T) {
	for _, c := range []struct {
		before, removed int
		want            bool
	}{{0, 0, false}, {1, 1, true}, {2, 1, false}, {5, 5, true}, {6, 5, false}, {60, 6, false}, {59, 6, true}, {10_000, 1000, false}, {10_000, 1001, true}} {
		if got := directory.Brake(c.before, c.removed); got != c.want {
			t.Errorf("%d of %d: %t", c.removed, c.before, got)
		}
	}
}
