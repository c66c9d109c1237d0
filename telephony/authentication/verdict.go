package authentication

import (
	"context"

	"demarc/telephony"
	"demarc/telephony/registration"
)

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
func (a *Authenticator) Authenticate(ctx context.Context, c Credentials) Verdict {
	return a.verdict(ctx, c, lookup{}).told()
}

// AuthenticateAtOnce is Authenticate from memory alone. sure is false when the directory would have to be asked: for whom
// memory does not know, and after every wrong answer.
func (a *Authenticator) AuthenticateAtOnce(c Credentials) (v Verdict, sure bool) {
	who := a.verdict(context.Background(), c, lookup{memory: true})
	return who.told(), !who.Unsure
}

func (a *Authenticator) verdict(ctx context.Context, c Credentials, l lookup) (id Identity) {
	if c.Proof != 0 && a.stands(ctx, c, l, &id) {
		return id
	}
	req := &registration.Request{Flow: c.Flow, To: c.User, From: c.User, Authorize: c.Authorize}
	a.authenticate(ctx, c.Method, req, l, &id)
	return id
}

// stands finds out whether the credential that a binding was made with is still in the directory. If it is not, or has been replaced,
// false is returned, and the sender is asked like everybody.
func (a *Authenticator) stands(ctx context.Context, c Credentials, l lookup, id *Identity) bool {
	e, err := a.credentials.subscriber(ctx, c.User, l)
	if err != nil {
		a.nobodyTells(id, err)
		return true
	}
	if !e.proven(a.seed, c.Proof) {
		return false
	}
	id.Subscriber, id.OK, id.standing = e.subscriber, true, true
	return true
}

func (id Identity) told() Verdict {
	id.Reply.Sender = id.Sender(id.Outcome)
	return Verdict{OK: id.OK, User: id.Subscriber, Reply: id.Reply}
}
