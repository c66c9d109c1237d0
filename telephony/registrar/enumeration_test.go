package registrar_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// watched counts what the directory is asked.
type watched struct {
	*memory
	subscribers atomic.Int64
}

func (w *watched) Subscriber(ctx context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	w.subscribers.Add(1)
	return w.memory.Subscriber(ctx, aor)
}

// probe is one way to ask about an AoR without knowing its password.
type probe struct {
	name string
	ask  func(r *registration.Request, nonce string)
}

func probes() []probe {
	answer := func(change func(user, realm *string), edit ...string) func(*registration.Request, string) {
		return func(r *registration.Request, nonce string) {
			user, realm := r.To.User, r.To.Domain
			if change != nil {
				change(&user, &realm)
			}
			r.Authorize = []string{strings.NewReplacer(edit...).Replace(authorization(user, realm, "guess", nonce, 1))}
		}
	}
	return []probe{
		{"no answer", func(*registration.Request, string) {}},
		{"a fetch", func(r *registration.Request, _ string) { r.Contacts = nil }},
		{"a removal", func(r *registration.Request, _ string) { r.Contacts, r.Star, r.Expires = nil, true, 0 }},
		{"a guess", answer(nil)},
		{"a guess under another name", answer(func(user, _ *string) { *user = "1002" })},
		{"a guess under no name", answer(func(user, _ *string) { *user = "" })},
		{"a guess for another realm", answer(func(_, realm *string) { *realm = "x.test" })},
		{"a guess with a foreign nonce", func(r *registration.Request, _ string) {
			answer(nil)(r, "AAABogKxMWNKbUxW5uursOlVQuJApWoc6IDXhZi4Gtw")
		}},
		{"a guess without qop", answer(nil, ",qop=auth", "", ",nc=00000001", "", `,cnonce="abc"`, "")},
		{"a guess under SHA-256", answer(nil, "Digest ", "Digest algorithm=SHA-256,")},
		{"a guess under an unknown algorithm", answer(nil, "Digest ", "Digest algorithm=CRC,")},
		{"an empty response", answer(nil, `response="`, `response="",x="`)},
		{"no digest", func(r *registration.Request, _ string) { r.Authorize = []string{"Basic MTAwMTpndWVzcw=="} }},
		{"nonsense", func(r *registration.Request, _ string) { r.Authorize = []string{"Digest ,,,"} }},
		{"a third party", func(r *registration.Request, _ string) { r.From = telephony.NewAoR("boss", r.To.Domain) }},
		{"a brief registration", func(r *registration.Request, _ string) { r.Expires = 1 }},
		{"a bad contact", func(r *registration.Request, _ string) { r.Contacts[0].URI = "mailto:a@b" }},
	}
}

// shape is all that a stranger sees of an answer: code, reason and size, in its order of headers.
func shape(r registration.Reply) string {
	sizes := make([]string, len(r.Challenges))
	for i, c := range r.Challenges {
		sizes[i] = fmt.Sprint(len(c), strings.Contains(c, "stale"))
	}
	return fmt.Sprint(r.Status, r.Reason, sizes, len(r.Bindings), r.MinExpires, r.RetryAfter, r.Date.IsZero(), r.Drop, r.Path, r.Push, r.Unknown,
		r.Outbound, r.FlowTimer)
}

// Who guesses names and domains learns nothing: every probe gets the same code and as many bytes, and costs as many
// lookups, whether the user or the domain exists or not. Names are of one length, since an answer repeats them.
func TestUsersAndDomainsCannotBeEnumerated(t *testing.T) {
	for _, offers := range [][]digest.Algorithm{{digest.MD5}, {digest.SHA256}, {digest.SHA256, digest.MD5}} {
		for _, p := range probes() {
			seen := map[string]string{}
			for who, aor := range map[string]telephony.AoR{
				"known": alice, "unknown user": telephony.NewAoR("7001", alice.Domain),
				"unknown domain": telephony.NewAoR("1001", strings.Repeat("x", len(alice.Domain))),
			} {
				w := &watched{memory: newMemory()}
				f := newFixture(t, w.memory, func(c *registrar.Config) {
					c.Directory, c.Offers = w, func(string, string) []digest.Algorithm { return offers }
				})
				var got []string
				for range 3 { // the first may have to ask the directory, later ones may not
					phone := &phone{f: f, aor: aor, contact: "sip:" + aor.User + "@10.0.0.1", flow: flow(1)}
					nonce := f.ask(phone.request()).Challenges[0]
					_, nonce, _ = strings.Cut(nonce, `nonce="`)
					nonce, _, _ = strings.Cut(nonce, `"`)
					req := phone.request()
					p.ask(req, nonce)
					got = append(got, shape(f.ask(req)))
				}
				seen[who] = fmt.Sprintf("%s; %d lookups of subscribers", strings.Join(got, " | "), w.subscribers.Load())
			}
			if !strings.HasPrefix(seen["known"], "40") {
				t.Errorf("%s: %s", p.name, seen["known"])
			}
			if seen["known"] != seen["unknown user"] || seen["known"] != seen["unknown domain"] {
				t.Errorf("%s, offered %v:\n  known   %s\n  user    %s\n  domain  %s", p.name, offers, seen["known"], seen["unknown user"],
					seen["unknown domain"])
			}
		}
	}
}
