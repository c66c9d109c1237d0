package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"demarc/internal/account"
)

// IssueSignIn makes a one-time link for the member with that address. The token is given this once; the caller has
// checked that the principal may.
func (s *Service) IssueSignIn(ctx context.Context, id account.ID, email string) (account.Secret, SignInLink, error) {
	m, err := s.members.MemberByEmail(ctx, id, strings.ToLower(strings.TrimSpace(email)))
	if errors.Is(err, ErrNotFound) {
		return "", SignInLink{}, fmt.Errorf("%w: no member has the address %q: add the member first", ErrNotFound, email)
	}
	if err != nil {
		return "", SignInLink{}, err
	}
	token, now := account.NewToken(), s.now()
	l := SignInLink{
		Account: m.Account, Member: m.ID, Hash: token.Hash(), CreatedAt: now, ExpiresAt: now.Add(LinkLifetime),
	}
	return token, l, s.sessions.SaveLink(ctx, l)
}

// SignIn burns a link and starts a web session. The old cookie's session, if any, ends with it: a session that an
// attacker fixed in the browser before sign-in is worth nothing after it.
func (s *Service) SignIn(ctx context.Context, link, oldCookie account.Secret) (account.Secret, Principal, error) {
	cookie, now := account.NewToken(), s.now()
	fresh := WebSession{
		ID: account.NewID("ses"), Hash: cookie.Hash(), CreatedAt: now, LastSeen: now, ExpiresAt: now.Add(SessionLifetime),
	}
	old := ""
	if oldCookie != "" {
		old = oldCookie.Hash()
	}
	m, err := s.sessions.BurnLink(ctx, link.Hash(), old, fresh)
	if err != nil {
		return "", Principal{}, err
	}
	return cookie, OfMember(m, fresh.ID), nil
}

// Authenticate returns whose session the cookie is, and notes that it was used; ErrNoSession when it is nobody's, has
// ended or was idle too long. A store that does not answer is its own error, never ErrNoSession.
func (s *Service) Authenticate(ctx context.Context, cookie account.Secret) (Principal, error) {
	session, m, err := s.session(ctx, cookie)
	if err != nil {
		return Principal{}, err
	}
	if now := s.now(); now.Sub(session.LastSeen) >= touchEvery {
		if err := s.sessions.TouchSession(ctx, session, now); err != nil {
			return Principal{}, err
		}
	}
	return OfMember(m, session.ID), nil
}

// Peek is Authenticate without the note: a page that refreshes itself does not keep its session alive.
func (s *Service) Peek(ctx context.Context, cookie account.Secret) (Principal, error) {
	session, m, err := s.session(ctx, cookie)
	if err != nil {
		return Principal{}, err
	}
	return OfMember(m, session.ID), nil
}

func (s *Service) session(ctx context.Context, cookie account.Secret) (WebSession, account.Member, error) {
	if cookie == "" {
		return WebSession{}, account.Member{}, ErrNoSession
	}
	session, m, err := s.sessions.Session(ctx, cookie.Hash())
	if errors.Is(err, ErrNotFound) {
		return WebSession{}, account.Member{}, ErrNoSession
	}
	if err != nil {
		return WebSession{}, account.Member{}, err
	}
	now := s.now()
	if !now.Before(session.ExpiresAt) || now.Sub(session.LastSeen) >= SessionIdle {
		return WebSession{}, account.Member{}, fmt.Errorf("%w: the session has ended", ErrNoSession)
	}
	return session, m, nil
}

// SignOut ends the principal's own session.
func (s *Service) SignOut(ctx context.Context, p Principal) error {
	return s.sessions.EndSessions(ctx, p.Account, p.Member.ID, p.Session)
}

// RevokeSessions ends every session of a member.
func (s *Service) RevokeSessions(ctx context.Context, id account.ID, member account.MemberID) error {
	return s.sessions.EndSessions(ctx, id, member, "")
}
