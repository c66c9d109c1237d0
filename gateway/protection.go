package gateway

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// protection says how the media of a user's phones is protected: as the directory says of the user, else as configured for all.
type protection struct {
	users userSettings
	all   sdp.Policy
	notes interface {
		Note(aor telephony.AoR, e timeline.Entry)
	}
	now func() time.Time
	log *slog.Logger
}

// userSettings is what a registrar knows of its users.
type userSettings interface {
	SRTPAtOnce(aor telephony.AoR) (setting string, sure bool)
	SRTP(ctx context.Context, aor telephony.AoR) (string, error)
	SRTPOfOthers(domain string) []string
}

func (g *Gateway) protection() *protection {
	return &protection{
		users: g.telephony.registrar, all: sdp.Policy(g.cfg.Telephony.Calls.Encryption), notes: g.telephony.notes, now: g.now, log: g.log,
	}
}

// of returns the policy for a leg. A directory that does not answer in time ends no call, and weakens none: then the strictest
// setting counts that anybody in the user's domain has, for it may be his.
func (p *protection) of(id account.ID, way signal.Way) (sdp.Policy, sdp.Security) {
	if way.AoR.IsZero() {
		return p.all, ""
	}
	if own, sure := p.users.SRTPAtOnce(way.AoR); sure {
		return sdp.Policy(cmp.Or(own, string(p.all))), ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	own, err := p.users.SRTP(ctx, way.AoR)
	if err == nil || errors.Is(err, authentication.ErrUnknown) {
		return sdp.Policy(cmp.Or(own, string(p.all))), ""
	}
	return p.strictest(id, way.AoR, err), ""
}

// strictness orders the policies.
var strictness = [...]sdp.Policy{sdp.Off, sdp.Preferred, sdp.Required}

// strictest returns the policy for a user whose own is not known, and says so where that is not the policy for all.
func (p *protection) strictest(id account.ID, aor telephony.AoR, err error) sdp.Policy {
	level := slices.Index(strictness[:], cmp.Or(p.all, sdp.Preferred))
	for _, other := range p.users.SRTPOfOthers(aor.Domain) {
		level = max(level, slices.Index(strictness[:], sdp.Policy(other)))
	}
	policy := strictness[level]
	if policy == cmp.Or(p.all, sdp.Preferred) {
		return policy
	}
	p.log.Warn("a user's srtp setting is not known, and media is protected as the strictest one of his domain asks",
		"user", aor.String(), "srtp", policy, "error", err)
	p.notes.Note(aor, timeline.Entry{Account: id, At: p.now(), Kind: timeline.Warning,
		Text: "The directory did not answer, so that this user's srtp setting was not known for a call: encrypted media was " +
			string(policy) + ", as for the strictest of the domain. A phone that cannot do that was refused."})
	return policy
}
