package registrar

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

// The texts of refusals, for support staff.
const (
	textWrong = "The phone's SIP credential does not match the PBX: the password was changed there, or realm or " +
		"algorithm differ. Sync this user, then let the phone fetch its credential again."
	textRealm = "The phone answered for another realm than this PBX's. Sync this user, then let the phone fetch its " +
		"credential again; a phone set up by hand needs the PBX's realm."
	textAlgorithm = "The phone answered with a digest algorithm that is not offered here, or for which the PBX has " +
		"no hash of this user. Check the digest algorithms of this realm and listener."
	textLegacy = "The phone answers digest challenges without qop, as in RFC 2069, which can be replayed. " +
		"Update the phone."
	textOther = "The phone signed in as this user but tried to register another extension. " +
		"Correct the phone's user name."
	textStale = "The phone answers with nonces that are too old or of another node, again and again, although each time it is " +
		"given a new one. Either it keeps old ones (update it), or its requests reach several nodes in turn: let the load " +
		"balancer send one phone to one node."
	textFrom = "The phone's From differs from its To: registering for somebody else is not allowed here."
)

// staleOften is how many stale nonces within a minute are a fault.
const staleOften = 3

// maxAuthorizations is how many Authorization headers of one request are read.
const maxAuthorizations = 4

// identity is what authentication found out. With ok the sender is the To-AoR's user and Decide may run; otherwise
// reply is final, but for a replay that may turn out to be a retransmission.
type identity struct {
	subscriber Subscriber
	ok         bool
	replayed   bool
	unsure     bool // memory alone cannot tell
	standing   bool // ok by a binding, see Credentials
	proof      uint32
	reply      registration.Reply
	outcome    registration.Outcome
	concerns   Subscriber // whose timeline a refusal belongs to; zero when nobody's
	text       string     // for support staff
}

// Credentials is what a request other than REGISTER says about its sender.
type Credentials struct {
	Method    string
	Flow      telephony.Flow
	User      telephony.AoR // of From
	Authorize []string

	// Proof is that of the sender's binding where he need not prove again who he is: his credential only has to be there still.
	Proof uint32
}

// Verdict says who sent a request. Without OK, Reply is the answer to it.
type Verdict struct {
	OK    bool
	User  Subscriber
	Reply registration.Reply
}

// Authenticate finds out who sent a request, by the same rules and the same nonces as for REGISTER. It may ask the
// directory, for as long as Config.Timeout.
func (r *Registrar) Authenticate(ctx context.Context, c Credentials) Verdict {
	return r.verdict(ctx, c, lookup{}).told()
}

// AuthenticateAtOnce is Authenticate from memory alone. sure is false when the directory would have to be asked: for whom
// memory does not know, and after every wrong answer.
func (r *Registrar) AuthenticateAtOnce(c Credentials) (v Verdict, sure bool) {
	who := r.verdict(context.Background(), c, lookup{memory: true})
	return who.told(), !who.unsure
}

func (r *Registrar) verdict(ctx context.Context, c Credentials, l lookup) (id identity) {
	if c.Proof != 0 && r.stands(ctx, c, l, &id) {
		return id
	}
	req := &registration.Request{Flow: c.Flow, To: c.User, From: c.User, Authorize: c.Authorize}
	r.authenticate(ctx, c.Method, req, l, &id)
	return id
}

// stands finds out whether the credential that a binding was made with is still in the directory. If it is not, or has been replaced,
// false is returned, and the sender is asked like everybody.
func (r *Registrar) stands(ctx context.Context, c Credentials, l lookup, id *identity) bool {
	e, err := r.credentials.subscriber(ctx, c.User, l)
	if err != nil {
		r.away(id, err)
		return true
	}
	if !e.proven(r.seed, c.Proof) {
		return false
	}
	id.subscriber, id.ok, id.standing = e.subscriber, true, true
	return true
}

func (id identity) told() Verdict {
	id.reply.Sender = id.sender(id.outcome)
	return Verdict{OK: id.ok, User: id.subscriber, Reply: id.reply}
}

// sender sums up for the edge. A right answer with an old or used nonce proves nothing: it may be a copy.
func (id identity) sender(o registration.Outcome) registration.Sender {
	switch {
	case id.standing:
		return registration.Unproven
	case id.ok:
		return registration.Proven
	case o == registration.WrongCredentials, o == registration.Forbidden:
		return registration.Wrong
	}
	return registration.Unproven
}

// admitted reports whether the rules may run.
func (id identity) admitted() bool { return id.ok || id.replayed }

// authenticate serves steps 3 to 5 of RFC 3261 §10.3. It fills the identity in, which is to be empty.
func (r *Registrar) authenticate(ctx context.Context, method string, req *registration.Request, l lookup, id *identity) {
	if l.now = req.Came; l.now.IsZero() || !l.memory { // who asks the directory has waited for it
		l.now = r.now()
	}
	domain, served := r.credentials.domain(req.To.Domain)
	realm := domain.Realm
	if !served {
		realm = hostText(req.To.Domain)
	}
	offered := r.offers(realm, req.Flow.Listener)
	if len(offered) == 0 {
		offered = OfferMD5(realm, req.Flow.Listener)
	}
	question := question{realm, offered, l.now}
	if len(req.Authorize) == 0 {
		r.challenge(id, question, false, registration.Challenged)
		return
	}
	answer, malformed := pick(req.Authorize, realm, offered)
	if malformed {
		id.reply, id.outcome = registration.Reply{Status: 400, Reason: "Malformed Authorization"}, registration.BadRequest
		return
	}
	r.verify(ctx, method, req, &answer, question, l, id)
}

// question is what a challenge asks.
type question struct {
	realm   string
	offered []digest.Algorithm
	now     time.Time
}

// verify checks an answer. A wrong one is checked again against the directory itself, so that a new password works at
// once; that costs one lookup whether the user exists or not.
func (r *Registrar) verify(ctx context.Context, method string, req *registration.Request, answer *digest.Response, q question, l lookup,
	id *identity) {
	var to, other entry
	var signer *entry
	var verdict digest.Verdict
	var hash digest.Hash
	var why string
	for _, again := range [...]bool{false, true} {
		if again && l.memory { // the shard answers what is wrong, in the same time whoever exists
			id.unsure = true
			return
		}
		if again {
			l.asOf = r.now()
		}
		var err error
		if signer, err = r.lookUp(ctx, req.To, answer.Username, l, &to, &other); err != nil {
			r.away(id, err)
			return
		}
		hash, why = selectHash(signer, answer, q.realm, q.offered)
		if verdict = r.verifier.VerifyAt(method, answer, hash, q.now); verdict != digest.Wrong {
			break
		}
	}
	switch verdict {
	case digest.OK:
		id.proof = hash.Mark(r.seed)
		r.authorize(id, req, &signer.subscriber)
		return
	case digest.Stale:
		r.challenge(id, q, true, registration.StaleNonce)
		// Once is how nonces end. A phone that does it again and again is never let in.
		if r.oldNonces.count(req.To.String()+"\x00"+req.CallID, r.now()) >= staleOften {
			id.concerns, id.text = signer.subscriber, textStale
		}
		return
	case digest.Replayed:
		r.challenge(id, q, true, registration.ReplayedNonce)
		id.subscriber, id.replayed = signer.subscriber, signer.subscriber.AoR == req.To
		return
	case digest.NoQOP:
		if l.memory {
			id.unsure = true
			return
		}
		why = textLegacy
	}
	r.challenge(id, q, false, registration.WrongCredentials)
	if to.found {
		id.concerns, id.text = to.subscriber, why
	}
}

// lookUp finds out whose AoR it is, and returns whose name the answer is signed with: the same or the other. The second lookup
// depends on the request alone, never on who exists.
func (r *Registrar) lookUp(ctx context.Context, aor telephony.AoR, username string, l lookup, to, other *entry) (signer *entry,
	err error) {
	if *to, err = r.credentials.subscriber(ctx, aor, l); err != nil || username == aor.User {
		return to, err
	}
	if *other, err = r.credentials.subscriber(ctx, telephony.NewAoR(username, aor.Domain), l); err != nil {
		return other, err
	}
	if to.found && to.subscriber.AuthUsername == username {
		return to, nil
	}
	return other, nil
}

// authorize lets a user register their own AoR only (RFC 3261 §10.3 steps 4 and 5).
func (r *Registrar) authorize(id *identity, req *registration.Request, s *Subscriber) {
	switch {
	case s.AoR != req.To:
		id.text = textOther
	case req.From != req.To && !r.thirdParty:
		id.text = textFrom
	default:
		id.subscriber, id.ok = *s, true
		return
	}
	id.reply, id.outcome, id.concerns = registration.Reply{Status: 403}, registration.Forbidden, *s
}

func (r *Registrar) challenge(id *identity, q question, stale bool, o registration.Outcome) {
	id.outcome = o
	id.reply.Challenge(q.realm, q.offered, r.verifier.Nonce(q.now), stale)
}

// away answers when nobody can tell who the user is: never 401, which a phone takes for a wrong password.
func (r *Registrar) away(id *identity, err error) {
	if errors.Is(err, errNotInMemory) {
		id.unsure = true
		return
	}
	r.storeFailed("directory", err)
	id.reply, id.outcome = r.unavailable(), registration.StoreAway
}

// pick returns the answer to use: the first for the realm with an offered algorithm, else the first that can be read.
func pick(values []string, realm string, offered []digest.Algorithm) (answer digest.Response, malformed bool) {
	found := false
	for _, value := range values[:min(len(values), maxAuthorizations)] {
		a, err := digest.ParseAuthorization(value)
		if err != nil {
			continue
		}
		if a.Realm == realm && slices.Contains(offered, a.Algorithm) {
			return a, false
		}
		if !found {
			answer, found = a, true
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
