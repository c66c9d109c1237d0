package directory

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/telephony/digest"
)

// row is one user as written, whatever the file's format.
type row struct {
	Extension    string         `yaml:"extension"`
	Name         string         `yaml:"name"`
	Email        string         `yaml:"email"`
	AuthUsername string         `yaml:"auth_username"`
	Realm        string         `yaml:"realm"`
	Password     account.Secret `yaml:"password"`
	HA1          account.Secret `yaml:"ha1"`
	Algorithm    string         `yaml:"algorithm"`
	Hashes       []hashRow      `yaml:"hashes"`
	Licences     *[]string      `yaml:"licences"`
	Voicemail    string         `yaml:"voicemail"`
	CallerID     string         `yaml:"caller_id"`
	SRTP         string         `yaml:"srtp"`

	at func(field string) position // where the field stands, or the row when it is absent
}

// hashRow is one of several HA1s of a user.
type hashRow struct {
	Algorithm string         `yaml:"algorithm"`
	Realm     string         `yaml:"realm"`
	HA1       account.Secret `yaml:"ha1"`
}

// builder turns rows into subscribers and refuses what stands twice.
type builder struct {
	*faults
	realm string // the PBX's
	seen  map[string]position
	built []Subscriber
}

func newBuilder(f *faults, pbx cloudlink.PBX) *builder {
	return &builder{faults: f, realm: pbx.Realm, seen: make(map[string]position)}
}

func (b *builder) add(r row) {
	before := len(b.list) + b.more
	s := Subscriber{
		Extension: r.Extension, Name: r.Name, Email: strings.ToLower(r.Email), AuthUsername: r.AuthUsername,
		Realm: r.Realm, Voicemail: r.Voicemail, CallerID: r.CallerID,
	}
	if s.AuthUsername == "" {
		s.AuthUsername = s.Extension
	}
	if s.Realm == "" {
		s.Realm = b.realm
	}
	b.checkText(r)
	s.Desktop, s.Mobile = b.licences(r)
	s.SRTP = oneOf(r.SRTP, r.at("srtp"), "srtp", b.faults, "", srtpPolicies...)
	s.Hashes = b.hashes(r, &s)
	b.once(r, "extension", s.Extension)
	b.once(r, "email", s.Email)
	b.once(r, "auth_username", s.AuthUsername)
	if len(b.list)+b.more == before {
		b.built = append(b.built, s)
	}
}

func (b *builder) checkText(r row) {
	for _, f := range []struct {
		field, text string
		longest     int
	}{
		{"name", r.Name, 200}, {"email", r.Email, 200}, {"auth_username", r.AuthUsername, 64}, {"realm", r.Realm, 200},
		{"voicemail", r.Voicemail, 64}, {"caller_id", r.CallerID, 64},
	} {
		if len(f.text) > f.longest || !printable(f.text) {
			b.faults.add(r.at(f.field), "%s must be at most %d bytes of printable text", f.field, f.longest)
		}
	}
	if !validExtension(r.Extension) {
		b.faults.add(r.at("extension"), "extension must be 1 to 64 letters, digits or . _ + * - (it is the SIP user)")
	}
	if strings.TrimSpace(r.Name) == "" {
		b.faults.add(r.at("name"), "name is missing")
	}
	if !validEmail(r.Email) {
		b.faults.add(r.at("email"), "email must be one address, as in anna@example.org")
	}
	if strings.ContainsAny(r.AuthUsername+r.Realm, `"\`) {
		b.faults.add(r.at("auth_username"), "auth_username and realm may not hold quotes or backslashes")
	}
	if strings.Contains(r.AuthUsername, ":") { // it would end the user name within the HA1 (RFC 7616 §3.4.2)
		b.faults.add(r.at("auth_username"), "auth_username may not hold a colon")
	}
}

func (b *builder) licences(r row) (desktop, mobile bool) {
	if r.Licences == nil {
		return true, true
	}
	for _, name := range *r.Licences {
		switch cloudlink.DeviceKind(strings.ToLower(name)) {
		case cloudlink.Desktop:
			desktop = true
		case cloudlink.Mobile:
			mobile = true
		default:
			b.faults.add(r.at("licences"), "unknown licence %q: use desktop, mobile, both or an empty list", name)
		}
	}
	return desktop, mobile
}

// hashes reads the credential: a password, one HA1, or several.
func (b *builder) hashes(r row, s *Subscriber) []digest.Hash {
	ways := 0
	for _, given := range []bool{r.Password != "", r.HA1 != "", len(r.Hashes) > 0} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		b.faults.add(r.at("password"), "give either password, or ha1 with realm and algorithm, or hashes")
		return nil
	}
	if r.Password != "" {
		if r.Algorithm != "" {
			b.faults.add(r.at("algorithm"), "algorithm belongs to an ha1; a password is hashed under every algorithm")
		}
		return NewHashes(s.AuthUsername, s.Realm, r.Password)
	}
	field, given := "hashes", r.Hashes
	if r.HA1 != "" {
		field, given = "ha1", []hashRow{{Algorithm: r.Algorithm, Realm: r.Realm, HA1: r.HA1}}
	}
	hashes := b.readHashes(r.at(field), given)
	if r.Realm == "" && len(hashes) > 0 {
		s.Realm = hashes[0].Realm
	}
	for _, h := range hashes {
		if h.Realm != s.Realm {
			b.faults.add(r.at(field), "the hashes of one user must be of one realm: %q and %q differ", s.Realm, h.Realm)
		}
	}
	return hashes
}

func (b *builder) readHashes(at position, given []hashRow) []digest.Hash {
	hashes := make([]digest.Hash, 0, len(given))
	seen := make(map[digest.Algorithm]bool)
	for _, g := range given {
		// HA1 is bound to realm and algorithm: guessing either gives a credential that never works.
		if g.Algorithm == "" || g.Realm == "" {
			b.faults.add(at, "an ha1 needs its realm and its algorithm beside it: it is worthless in any other")
			continue
		}
		a, err := digest.ParseAlgorithm(g.Algorithm)
		if err != nil {
			b.faults.add(at, "%v", err)
			continue
		}
		h := digest.Hash{Algorithm: a, Realm: g.Realm, HA1: account.Secret(strings.ToLower(g.HA1.Reveal()))}
		if err := h.Validate(); err != nil {
			b.faults.add(at, "%v", err)
			continue
		}
		if seen[a] {
			b.faults.add(at, "two hashes for %s", a)
		}
		seen[a] = true
		hashes = append(hashes, h)
	}
	return hashes
}

// once refuses a value that an earlier row has.
func (b *builder) once(r row, field, value string) {
	if value == "" {
		return
	}
	key := field + "\x00" + value
	if first, again := b.seen[key]; again {
		b.faults.add(r.at(field), "%s %q stands twice: first on line %d", field, value, first.line)
		return
	}
	b.seen[key] = r.at(field)
}

func validExtension(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if !alphanumeric(c) && strings.IndexByte("._+*-", c) < 0 {
			return false
		}
	}
	return true
}

func validEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.ContainsAny(domain, "@ ") &&
		!strings.ContainsAny(local, " <>,;")
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}
