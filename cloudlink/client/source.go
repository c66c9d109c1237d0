package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/account"
	"demarc/provisioning"
)

var _ provisioning.Source = (*Source)(nil)

// Source reads the PBX, users and credentials of one connector's account.
type Source struct {
	client *Client
	base   string
	token  Token
}

// Token gives a living access token. refused is empty, or the one that the service has just refused; then it is asked
// once more for the same request.
type Token func(ctx context.Context, refused account.Secret) (account.Secret, error)

// Source binds the client to a connector's service. token is asked for each request.
func (c *Client) Source(base string, token Token) *Source {
	return &Source{client: c, base: base, token: token}
}

// Name returns the address of the service.
func (s *Source) Name() string { return s.base }

var errLink = errors.New("the service's link to the next page leads elsewhere or in a circle: it was not followed")

// PBXs returns the account's phone systems.
func (s *Source) PBXs(ctx context.Context) ([]cloudlink.PBX, error) {
	const pages = 100 // an account has one or a few
	var all []cloudlink.PBX
	next := ""
	for range pages {
		items, following, err := list[cloudlink.PBX](ctx, s, "/pbxs", next)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if next = following; next == "" {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%w: %w", connector.ErrUnreachable, errLink)
}

// Users returns one page of users with their endpoints. next is "" for the first page, then what came
// with the page before.
func (s *Source) Users(ctx context.Context, next string) ([]cloudlink.UserWithEndpoints, string, error) {
	return list[cloudlink.UserWithEndpoints](ctx, s, "/users?$top=100&$expand=sipendpoints", next)
}

// Credential returns what an endpoint registers with.
func (s *Source) Credential(ctx context.Context, userID, endpointID string) (cloudlink.Credential, error) {
	var c cloudlink.Credential
	base, err := parseBase(s.base)
	if err != nil {
		return c, err
	}
	err = s.get(ctx, base.String()+cloudlink.PathPSI+"/users/"+url.PathEscape(userID)+"/sipendpoints/"+
		url.PathEscape(endpointID)+"/credential", &c)
	return c, err
}

// list reads one page: the first one, or the one that a page before led to.
func list[T any](ctx context.Context, s *Source, first, next string) ([]T, string, error) {
	base, err := parseBase(s.base)
	if err != nil {
		return nil, "", err
	}
	address := base.String() + cloudlink.PathPSI + first
	if next != "" {
		address = next
	}
	here, err := follow(base, base, address)
	if err != nil {
		return nil, "", err
	}
	var page cloudlink.List[T]
	if err := s.get(ctx, here.String(), &page); err != nil {
		return nil, "", err
	}
	if page.Links.Next == "" {
		return page.Embedded.Items, "", nil
	}
	there, err := follow(base, here, page.Links.Next)
	if err != nil || there.String() == here.String() {
		return nil, "", fmt.Errorf("%w: %w", connector.ErrUnreachable, errLink)
	}
	return page.Embedded.Items, there.String(), nil
}

// follow resolves a link. The token goes with it, so it must stay on the service's origin and in its API.
func follow(base, here *url.URL, link string) (*url.URL, error) {
	there, err := here.Parse(link)
	if err != nil || !sameOrigin(base, there) || !strings.HasPrefix(there.Path, cloudlink.PathPSI+"/") {
		return nil, fmt.Errorf("%w: %w", connector.ErrUnreachable, errLink)
	}
	return there, nil
}

func (s *Source) get(ctx context.Context, address string, into any) error {
	token, err := s.token(ctx, "")
	if err != nil {
		return err
	}
	err = s.client.get(ctx, address, token, into)
	if !errors.Is(err, connector.ErrReauthorize) {
		return err
	}
	fresh, renewal := s.token(ctx, token)
	switch {
	case renewal != nil:
		return fmt.Errorf("%w; %w", renewal, err)
	case fresh.Equal(token):
		return err
	}
	return s.client.get(ctx, address, fresh, into)
}
