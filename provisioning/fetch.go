package provisioning

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"demarc/cloudlink"
)

// answer is what the service said to one request for a credential; the zero answer is none.
type answer struct {
	credential *cloudlink.Credential
	refusal    *cloudlink.Error
}

// fetch asks for the credentials of some users, a few at a time. Answers are kept by Fetch.key. A service that fails as a whole is away from
// then on.
func (y *syncing) fetch(ctx context.Context, users []UserPlan) map[string]answer {
	var mu sync.Mutex
	answers := map[string]answer{}
	var group errgroup.Group
	group.SetLimit(fetchers)
	for _, u := range users {
		for _, f := range u.Fetch {
			group.Go(func() error {
				if ctx.Err() != nil || y.isAway(f.Service) {
					return nil // another one has told why
				}
				a, err := y.ask(ctx, f)
				if err != nil {
					y.fails(f.Service, err)
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				answers[f.key()] = a
				return nil
			})
		}
	}
	_ = group.Wait() // each has told what failed
	return answers
}

// ask tells a refusal of this one credential from a failure of the service.
func (y *syncing) ask(ctx context.Context, f Fetch) (answer, error) {
	got, err := y.services[f.Service].Credential(ctx, f.CloudLinkUser, f.Endpoint.EndpointID)
	if err == nil {
		return answer{credential: &got}, nil
	}
	var refusal *cloudlink.Error
	if errors.As(err, &refusal) && concernsOne(refusal.Status) {
		return answer{refusal: refusal}, nil
	}
	return answer{}, fmt.Errorf("credentials cannot be fetched: %w", err)
}

// concernsOne reports whether an HTTP status speaks of the credential asked for, not of the token or the service.
func concernsOne(status int) bool {
	switch status {
	case 401, 429, 502, 503, 504:
		return false
	}
	return true
}

// judge makes the credential of an answer, or the gap that says why there is none.
func (a answer) judge(f Fetch) (Credential, Gap) {
	kind := f.Endpoint.DeviceKind
	if a.refusal != nil {
		return Credential{}, Gap{Kind: kind, Cause: Refused, Text: fmt.Sprintf(
			"The service did not hand over the %s credential: %s. Look in the CloudLink log for correlation id %s.",
			kind, clip(a.refusal.Message, 200), clip(a.refusal.CorrelationID, 80))}
	}
	c, err := newCredential(f, *a.credential)
	if err != nil {
		return Credential{}, Gap{Kind: kind, Cause: UnusableAnswer, Text: fmt.Sprintf(
			"The service sent a %s credential that cannot be used: %v.", kind, err)}
	}
	return c, Gap{}
}
