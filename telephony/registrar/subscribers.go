package registrar

import (
	"context"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/authentication"
)

// Authenticate finds out who sent a request, by the same rules and the same nonces as for REGISTER. It may ask the
// directory, for as long as Config.Timeout.
func (r *Registrar) Authenticate(ctx context.Context, c authentication.Credentials) authentication.Verdict {
	return r.senders.Authenticate(ctx, c)
}

// AuthenticateAtOnce is Authenticate from memory alone. sure is false when the directory would have to be asked: for whom
// memory does not know, and after every wrong answer.
func (r *Registrar) AuthenticateAtOnce(c authentication.Credentials) (v authentication.Verdict, sure bool) {
	return r.senders.AuthenticateAtOnce(c)
}

// Account returns whose an AoR is, as the directory said; ErrUnknown when it is nobody's.
func (r *Registrar) Account(ctx context.Context, aor telephony.AoR) (account.ID, error) {
	s, err := r.senders.Subscriber(ctx, aor)
	return s.Account, err
}

// AccountAtOnce is Account from memory, empty for who is nobody; it is not sure of who has to be looked up first.
func (r *Registrar) AccountAtOnce(aor telephony.AoR) (owner account.ID, sure bool) {
	s, sure := r.senders.SubscriberAtOnce(aor)
	return s.Account, sure
}

// SRTP returns whether media of a user's phones is to be encrypted, as the directory said: required, preferred, off, or
// nothing where it leaves that open. It is ErrUnknown for nobody's AoR.
func (r *Registrar) SRTP(ctx context.Context, aor telephony.AoR) (string, error) {
	s, err := r.senders.Subscriber(ctx, aor)
	return s.SRTP, err
}

// SRTPAtOnce is SRTP from memory; it is not sure of who has to be looked up first.
func (r *Registrar) SRTPAtOnce(aor telephony.AoR) (setting string, sure bool) {
	s, sure := r.senders.SubscriberAtOnce(aor)
	return s.SRTP, sure
}

// SRTPOfOthers returns the settings that some users of a domain have of their own, each once. It asks nobody.
func (r *Registrar) SRTPOfOthers(domain string) []string {
	d, _ := r.senders.Domain(domain)
	return d.SRTP
}
