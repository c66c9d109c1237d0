package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/provisioning"
)

// AccountHeader names the account that the operator means.
const AccountHeader = "Demarc-Account"

// caller is what a request brings to say who it is; it is looked up when an operation asks.
type caller struct {
	bearer     account.Secret
	cookie     account.Secret
	operator   bool
	accountRef string
	addr       netip.Addr
}

type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

func identifyOperator(r *http.Request) caller {
	return caller{operator: true, accountRef: r.Header.Get(AccountHeader)}
}

func identifyPublic(r *http.Request) caller {
	var c caller
	if from, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.addr = from.Addr()
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		c.bearer = account.Secret(strings.TrimSpace(token))
		return c // a device's token stands alone: a cookie beside it must not lend it a member's rights
	}
	if k, err := r.Cookie(SessionCookie); err == nil {
		c.cookie = account.Secret(k.Value)
	}
	return c
}

// may returns the principal when the policy lets it use the verb, and how far.
func (s *server) may(ctx context.Context, v access.Verb) (access.Principal, access.Scope, error) {
	p, err := s.principal(ctx, v)
	if err != nil {
		return access.Principal{}, access.Nothing, err
	}
	scope, err := p.May(v)
	return p, scope, err
}

func (s *server) principal(ctx context.Context, v access.Verb) (access.Principal, error) {
	c := callerOf(ctx)
	switch {
	case c.operator:
		return s.operator(ctx, c, v)
	case c.bearer != "":
		d, err := s.device(ctx, c)
		return access.OfDevice(d.Account, string(d.ID)), err
	case c.cookie != "":
		return s.Access.Authenticate(ctx, c.cookie)
	}
	return access.Principal{}, access.ErrNoSession
}

// operator looks the account up unless the verb is about accounts themselves.
func (s *server) operator(ctx context.Context, c caller, v access.Verb) (access.Principal, error) {
	if v == access.ReadAccounts || v == access.CreateAccount || v == access.IssueSignIn {
		return access.OfOperator(""), nil
	}
	a, err := s.Access.Account(ctx, c.accountRef)
	return access.OfOperator(a.ID), err
}

func (s *server) device(ctx context.Context, c caller) (provisioning.Device, error) {
	d, err := s.Provisioning.Authenticate(ctx, c.bearer)
	if errors.Is(err, provisioning.ErrNotFound) {
		return d, access.ErrNoSession
	}
	return d, err
}

// errForeign is ErrNotFound for every id that is not the device's own, whether it exists or not.
var errForeign = fmt.Errorf("this is not the device that asks: %w", provisioning.ErrNotFound)

// ownDevice returns the caller's device when that is the one asked for.
func (s *server) ownDevice(ctx context.Context, v access.Verb, id string) (provisioning.Device, error) {
	c := callerOf(ctx)
	if c.bearer == "" {
		return provisioning.Device{}, s.noDevice(ctx, v)
	}
	d, err := s.device(ctx, c)
	if err != nil {
		return provisioning.Device{}, err
	}
	if err := own(d, v, id); err != nil {
		return provisioning.Device{}, err
	}
	return d, nil
}

// noDevice refuses a caller who is no device.
func (s *server) noDevice(ctx context.Context, v access.Verb) error {
	if _, _, err := s.may(ctx, v); err != nil {
		return err
	}
	return access.ErrForbidden
}

// own holds a device to the policy, and to itself.
func own(d provisioning.Device, v access.Verb, id string) error {
	if _, err := access.OfDevice(d.Account, string(d.ID)).May(v); err != nil {
		return err
	}
	if string(d.ID) != id {
		return errForeign
	}
	return nil
}

// user returns the integrated user with its principal when the policy lets the caller use the verb on that user.
func (s *server) user(ctx context.Context, v access.Verb, id string) (access.Principal, provisioning.Status, error) {
	p, scope, err := s.may(ctx, v)
	if err != nil {
		return p, provisioning.Status{}, err
	}
	if !isID(id) {
		return p, provisioning.Status{}, provisioning.ErrNotFound
	}
	st, err := s.Provisioning.Status(ctx, p.Account, provisioning.UserID(id))
	if err != nil {
		return p, provisioning.Status{}, err
	}
	if scope == access.Own && st.User.Member != p.Member.ID {
		return p, provisioning.Status{}, provisioning.ErrNotFound
	}
	return p, st, nil
}

// isID reports whether s can be an id at all; what cannot is not found without asking the store.
func isID(s string) bool {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-'
	}
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, odd)
}
