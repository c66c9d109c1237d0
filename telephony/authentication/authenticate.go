package authentication

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"demarc/telephony"
	"demarc/telephony/digest"
	"demarc/telephony/registration"
)

// staleOften is how many stale nonces within a minute are a fault.
const staleOften = 3

// maxAuthorizations is how many Authorization headers of one request are read.
const maxAuthorizations = 4

// authenticate serves steps 3 to 5 of RFC 3261 §10.3. It fills the identity in, which is to be empty.
func (a *Authenticator) authenticate(ctx context.Context, method string, req *registration.Request, l lookup, id *Identity) {
	if l.now = req.Came; l.now.IsZero() || !l.memory { // who asks the directory has waited for it
		l.now = a.now()
	}
	domain, served := a.credentials.domain(req.To.Domain)
	realm := domain.Realm
	if !served {
		realm = hostText(req.To.Domain)
	}
	offered := a.offers(realm, req.Flow.Listener)
	if len(offered) == 0 {
		offered = OfferMD5(realm, req.Flow.Listener)
	}
	question := question{realm, offered, l.now}
	if len(req.Authorize) == 0 {
		a.challenge(id, question, false, registration.Challenged)
		return
	}
	answer, malformed := pick(req.Authorize, realm, offered)
	if malformed {
		id.Reply, id.Outcome = registration.Reply{Status: 400, Reason: "Malformed Authorization"}, registration.BadRequest
		return
	}
	a.verify(ctx, method, req, &answer, question, l, id)
}

// question is what a challenge asks.
type question struct {
	realm   string
	offered []digest.Algorithm
	now     time.Time
}

// verify checks an answer. A wrong one is checked again against the directory itself, so that a new password works at
// once; that costs one lookup whether the user exists or not.
func (a *Authenticator) verify(ctx context.Context, method string, req *registration.Request, answer *digest.Response, q question, l lookup,
	id *Identity) {
	var to, other entry
	var signer *entry
	var verdict digest.Verdict
	var hash digest.Hash
	var why string
	for _, again := range [...]bool{false, true} {
		if again && l.memory { // the shard answers what is wrong, in the same time whoever exists
			id.Unsure = true
			return
		}
		if again {
			l.asOf = a.now()
		}
		var err error
		if signer, err = a.lookUp(ctx, req.To, answer.Username, l, &to, &other); err != nil {
			a.nobodyTells(id, err)
			return
		}
		hash, why = selectHash(signer, answer, q.realm, q.offered)
		if verdict = a.verifier.VerifyAt(method, answer, hash, q.now); verdict != digest.Wrong {
			break
		}
	}
	switch verdict {
	case digest.OK:
		id.Proof = hash.Mark(a.seed)
		a.authorize(id, req, &signer.subscriber)
		return
	case digest.Stale:
		a.challenge(id, q, true, registration.StaleNonce)
		// Once is how nonces end. A phone that does it again and again is never let in.
		if a.oldNonces.count(req.To.String()+"\x00"+req.CallID, a.now()) >= staleOften {
			id.Concerns, id.Text = signer.subscriber, textStale
		}
		return
	case digest.Replayed:
		a.challenge(id, q, true, registration.ReplayedNonce)
		id.Subscriber, id.Replayed = signer.subscriber, signer.subscriber.AoR == req.To
		return
	case digest.NoQOP:
		if l.memory {
			id.Unsure = true
			return
		}
		why = textLegacy
	}
	a.challenge(id, q, false, registration.WrongCredentials)
	if to.found {
		id.Concerns, id.Text = to.subscriber, why
	}
}

// lookUp finds out whose AoR it is, and returns whose name the answer is signed with: the same or the other. The second lookup
// depends on the request alone, never on who exists.
func (a *Authenticator) lookUp(ctx context.Context, aor telephony.AoR, username string, l lookup, to, other *entry) (signer *entry,
	err error) {
	if *to, err = a.credentials.subscriber(ctx, aor, l); err != nil || username == aor.User {
		return to, err
	}
	if *other, err = a.credentials.subscriber(ctx, telephony.NewAoR(username, aor.Domain), l); err != nil {
		return other, err
	}
	if to.found && to.subscriber.AuthUsername == username {
		return to, nil
	}
	return other, nil
}

// authorize lets a user register their own AoR only (RFC 3261 §10.3 steps 4 and 5).
func (a *Authenticator) authorize(id *Identity, req *registration.Request, s *Subscriber) {
	switch {
	case s.AoR != req.To:
		id.Text = textOther
	case req.From != req.To && !a.thirdParty:
		id.Text = textFrom
	default:
		id.Subscriber, id.OK = *s, true
		return
	}
	id.Reply, id.Outcome, id.Concerns = registration.Reply{Status: 403}, registration.Forbidden, *s
}

func (a *Authenticator) challenge(id *Identity, q question, stale bool, o registration.Outcome) {
	id.Outcome = o
	id.Reply.Challenge(q.realm, q.offered, a.verifier.Nonce(q.now), stale)
}

// nobodyTells answers when nobody can tell who the user is: never 401, which a phone takes for a wrong password.
func (a *Authenticator) nobodyTells(id *Identity, err error) {
	if errors.Is(err, errNotInMemory) {
		id.Unsure = true
		return
	}
	a.failed(err)
	id.Reply, id.Outcome = registration.Unavailable(), registration.StoreAway
}

// pick returns the answer to use: the first for the realm with an offered algorithm, else the first that can be read.
func pick(values []string, realm string, offered []digest.Algorithm) (answer digest.Response, malformed bool) {
	found := false
	for _, value := range values[:min(len(values), maxAuthorizations)] {
		got, err := digest.ParseAuthorization(value)
		if err != nil {
			continue
		}
		if got.Realm == realm && slices.Contains(offered, got.Algorithm) {
			return got, false
		}
		if !found {
			answer, found = got, true
		}
	}
	return answer, !found
}

// selectHash returns the hash to verify with. For an unknown user, realm or algorithm it is one that never matches, so
// that the computation is the same.
func selectHash(e *entry, answer *digest.Response, realm string, offered []digest.Algorithm) (digest.Hash, string) {
	why := textWrong
	if answer.Realm != realm {
		why = textRealm
	} else if e.found && e.subscriber.AuthUsername == answer.Username && slices.Contains(offered, answer.Algorithm) {
		if h, ok := e.hash(answer.Algorithm, realm); ok {
			return h, why
		}
		why = textAlgorithm
	} else if !slices.Contains(offered, answer.Algorithm) {
		why = textAlgorithm
	}
	return digest.Hash{Algorithm: answer.Algorithm, Realm: realm}, why
}

// hostText returns a domain as realm of a challenge for what is not served here.
func hostText(domain string) string {
	if domain == "" || len(domain) > 253 || strings.ContainsFunc(domain, func(c rune) bool {
		return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.ContainsRune(".-_:[]", c))
	}) {
		return "unknown"
	}
	return domain
}
