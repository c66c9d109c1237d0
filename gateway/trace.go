package gateway

import (
	"context"
	"strings"

	"demarc/api"
	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/trace"
)

// tracer lets the API look into what this node remembers.
func (g *Gateway) tracer() api.Tracer {
	if g.telephony.trace == nil {
		return nil
	}
	return messages{g}
}

type messages struct{ g *Gateway }

// Trace returns the messages of an extension or AoR of the account, or of a Call-ID within it.
func (m messages) Trace(ctx context.Context, id account.ID, of string, after uint64) ([]trace.Entry, error) {
	accounts, err := m.g.access.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		if a.ID != id {
			continue
		}
		found := m.g.telephony.trace.Call(a.Domain, of, after)
		if len(found) > 0 {
			return found, nil
		}
		aor, err := telephony.ParseAoR(of)
		if err != nil {
			aor = telephony.NewAoR(strings.TrimPrefix(of, "sip:"), a.Domain)
		}
		if aor.Domain != a.Domain {
			return nil, nil // another account's, or nobody's
		}
		return m.g.telephony.trace.Of(aor, after), nil
	}
	return nil, nil
}
