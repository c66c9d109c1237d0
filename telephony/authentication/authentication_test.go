package authentication_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/registration"
)

const domain = "pbx.example.org"

var (
	alice = telephony.NewAoR("1001", domain)
	bob   = telephony.NewAoR("1002", domain)
	start = time.Unix(1_700_000_000, 0)
)

// book is a directory that counts how often it is asked.
type book struct {
	passwords map[telephony.AoR]account.Secret
	asked     int
	away      error
}

func (b *book) Domains(context.Context) (map[string]authentication.Domain, error) {
	return map[string]authentication.Domain{domain: {Account: "acc_1", Realm: domain}}, nil
}

func (b *book) Subscriber(_ context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	b.asked++
	if b.away != nil {
		return authentication.Subscriber{}, b.away
	}
	password, ok := b.passwords[aor]
	if !ok {
		return authentication.Subscriber{}, authentication.ErrUnknown
	}
	return authentication.Subscriber{Account: "acc_1", AoR: aor, AuthUsername: aor.User,
		Hashes: []digest.Hash{digest.NewHash(digest.MD5, aor.User, domain, password)}}, nil
}

func (b *book) Version(context.Context) (int64, error) { return 1, nil }

// fixture is an authenticator with its directory, and what it said of that.
type fixture struct {
	*authentication.Authenticator
	book   *book
	left   error   // why the directory is left alone
	failed []error // what was told of it
}

func newFixture(t *testing.T) *fixture {
	f := &fixture{book: &book{passwords: map[telephony.AoR]account.Secret{alice: "one", bob: "two"}}}
	f.Authenticator = authentication.New(authentication.Config{
		Directory: f.book, Timeout: time.Minute, Offers: authentication.OfferMD5, Node: "n1", NonceKey: make([]byte, 32),
		Away: func() error { return f.left }, Failed: func(err error) { f.failed = append(f.failed, err) },
		Now: func() time.Time { return start },
	})
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

// register is a REGISTER of a user, with an answer to a challenge or without.
func register(to telephony.AoR, authorize ...string) *registration.Request {
	return &registration.Request{To: to, From: to, Authorize: authorize, Flow: telephony.Flow{Listener: "tls"}}
}

// nonce gets a new one.
func (f *fixture) nonce(t *testing.T) string {
	var id authentication.Identity
	f.IdentifyAtOnce(register(alice), &id)
	if len(id.Reply.Challenges) != 1 {
		t.Fatalf("%+v", id.Reply)
	}
	_, rest, _ := strings.Cut(id.Reply.Challenges[0], `nonce="`)
	nonce, _, _ := strings.Cut(rest, `"`)
	return nonce
}

// answer answers a challenge for a method.
func answer(method, user, password, nonce string, nc int) string {
	ha1 := digest.MD5.Sum(user + ":" + domain + ":" + password)
	response := digest.MD5.Sum(fmt.Sprintf("%s:%s:%08x:abc:auth:%s", ha1, nonce, nc, digest.MD5.Sum(method+":sip:x")))
	return fmt.Sprintf(`Digest username=%q,realm=%q,nonce=%q,uri="sip:x",response=%q,qop=auth,nc=%08x,cnonce="abc"`,
		user, domain, nonce, response, nc)
}

func TestIdentities(t *testing.T) {
	carol, elsewhere := telephony.NewAoR("1003", domain), telephony.NewAoR("1001", "other.example")
	for name, c := range map[string]struct {
		to       telephony.AoR
		user     string
		password string
		status   int // 0: it is the user
		outcome  registration.Outcome
		concerns telephony.AoR
		sender   registration.Sender
	}{
		"right":                {alice, "1001", "one", 0, 0, telephony.AoR{}, registration.Proven},
		"wrong":                {alice, "1001", "two", 401, registration.WrongCredentials, alice, registration.Wrong},
		"right, for another":   {alice, "1002", "two", 403, registration.Forbidden, bob, registration.Wrong},
		"wrong, as another":    {alice, "1002", "one", 401, registration.WrongCredentials, alice, registration.Wrong},
		"nobody":               {carol, "1003", "one", 401, registration.WrongCredentials, telephony.AoR{}, registration.Wrong},
		"a domain of others":   {elsewhere, "1001", "one", 401, registration.WrongCredentials, telephony.AoR{}, registration.Wrong},
		"no user can have it":  {telephony.NewAoR(strings.Repeat("1", 200), domain), "1001", "two", 401, registration.WrongCredentials, telephony.AoR{}, registration.Wrong},
		"nothing but an empty": {alice, "", "", 401, registration.WrongCredentials, alice, registration.Wrong},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			var id authentication.Identity
			f.Identify(t.Context(), register(c.to, answer("REGISTER", c.user, c.password, f.nonce(t), 1)), &id)
			if id.Reply.Status != c.status || id.OK != (c.status == 0) || id.Admitted() != id.OK || c.status != 0 && id.Outcome != c.outcome {
				t.Errorf("%d, admitted %t, outcome %v", id.Reply.Status, id.Admitted(), id.Outcome)
			}
			if id.OK && (id.Subscriber.AoR != c.to || id.Subscriber.Account != "acc_1" || id.Proof == 0) {
				t.Errorf("%+v", id.Subscriber)
			}
			if id.Concerns.AoR != c.concerns || (id.Text != "") != (c.concerns != telephony.AoR{}) {
				t.Errorf("it concerns %v: %q", id.Concerns.AoR, id.Text)
			}
			if s := id.Sender(id.Outcome); s != c.sender {
				t.Errorf("the sender is %v, want %v", s, c.sender)
			}
			if f.failed != nil {
				t.Errorf("the directory failed: %v", f.failed)
			}
		})
	}
}

// TestChallengesAskNobody: strangers cost no lookup, and are not told who exists.
func TestChallengesAskNobody(t *testing.T) {
	f := newFixture(t)
	for _, aor := range []telephony.AoR{alice, telephony.NewAoR("nobody", domain), telephony.NewAoR("1001", "other.example")} {
		var id authentication.Identity
		f.IdentifyAtOnce(register(aor), &id)
		if id.Unsure || id.Reply.Status != 401 || id.Outcome != registration.Challenged || len(id.Reply.Challenges) != 1 {
			t.Errorf("%v gets %+v", aor, id.Reply)
		}
	}
	if f.book.asked != 0 {
		t.Errorf("the directory was asked %d times", f.book.asked)
	}
}

func TestMemoryKnowsWhoWasAskedFor(t *testing.T) {
	f := newFixture(t)
	nonce := f.nonce(t)
	var id authentication.Identity
	if f.IdentifyAtOnce(register(alice, answer("REGISTER", "1001", "one", nonce, 1)), &id); !id.Unsure || f.book.asked != 0 {
		t.Fatalf("unsure %t, asked %d times", id.Unsure, f.book.asked)
	}
	for nc := 1; nc <= 3; nc++ {
		id = authentication.Identity{}
		if f.Identify(t.Context(), register(alice, answer("REGISTER", "1001", "one", nonce, nc)), &id); !id.OK || f.book.asked != 1 {
			t.Fatalf("%+v, asked %d times", id.Reply, f.book.asked)
		}
	}
	id = authentication.Identity{}
	if f.IdentifyAtOnce(register(alice, answer("REGISTER", "1001", "one", nonce, 3)), &id); id.OK || !id.Replayed || !id.Admitted() ||
		id.Outcome != registration.ReplayedNonce || id.Reply.Status != 401 || id.Sender(id.Outcome) != registration.Unproven {
		t.Errorf("a replay: %+v", id)
	}
	if s, sure := f.SubscriberAtOnce(alice); !sure || s.AoR != alice {
		t.Errorf("%+v %t", s, sure)
	}
	if _, sure := f.SubscriberAtOnce(bob); sure {
		t.Error("it is sure of who was never looked up")
	}
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, sure := f.SubscriberAtOnce(alice); sure {
		t.Error("what the directory said before it changed still counts")
	}
}

// TestAwayIsNoWrongPassword: who cannot be looked up gets 503, and who is known is served.
func TestAwayIsNoWrongPassword(t *testing.T) {
	f := newFixture(t)
	nonce := f.nonce(t)
	if _, err := f.Subscriber(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	why := errors.New("it was away a moment ago")
	f.left = why
	var id authentication.Identity
	if f.Identify(t.Context(), register(alice, answer("REGISTER", "1001", "one", nonce, 1)), &id); !id.OK {
		t.Errorf("who is known gets %+v", id.Reply)
	}
	id = authentication.Identity{}
	f.Identify(t.Context(), register(bob, answer("REGISTER", "1002", "two", nonce, 2)), &id)
	if id.Admitted() || id.Reply.Status != 503 || id.Reply.RetryAfter == 0 || id.Outcome != registration.StoreAway {
		t.Errorf("who is not known gets %+v", id.Reply)
	}
	if f.book.asked != 1 || len(f.failed) != 1 || !errors.Is(f.failed[0], why) {
		t.Errorf("asked %d times, told %v", f.book.asked, f.failed)
	}
	f.left, f.book.away = nil, errors.New("gone")
	id = authentication.Identity{}
	f.Identify(t.Context(), register(bob, answer("REGISTER", "1002", "two", nonce, 3)), &id)
	if id.Reply.Status != 503 || len(f.failed) != 2 || !errors.Is(f.failed[1], f.book.away) {
		t.Errorf("%+v, told %v", id.Reply, f.failed)
	}
}

// TestProofStandsForADigest: a phone's other requests over the flow of its binding need no digest while its credential is the same.
func TestProofStandsForADigest(t *testing.T) {
	f := newFixture(t)
	var id authentication.Identity
	f.Identify(t.Context(), register(alice, answer("REGISTER", "1001", "one", f.nonce(t), 1)), &id)
	call := authentication.Credentials{Method: "INVITE", User: alice, Proof: id.Proof}
	if v, sure := f.AuthenticateAtOnce(call); !sure || !v.OK || v.User.AoR != alice || v.Reply.Sender != registration.Unproven {
		t.Errorf("%+v, sure %t", v, sure)
	}
	f.book.passwords[alice] = "three"
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := f.Authenticate(t.Context(), call); v.OK || v.Reply.Status != 401 {
		t.Errorf("with a new password: %+v", v)
	}
	call.Authorize = []string{answer("INVITE", "1001", "three", f.nonce(t), 1)}
	if v := f.Authenticate(t.Context(), call); !v.OK || v.Reply.Sender != registration.Proven {
		t.Errorf("with a new digest: %+v", v)
	}
}
