package events

import (
	"context"
	"errors"
	"strings"
	"time"

	"demarc/telephony/authentication"
	"demarc/telephony/registration"
)

// decide answers one SUBSCRIBE; after, when there is one, is to run once the answer is out.
func (s *Service) decide(ctx context.Context, req *Request) (r Reply, after func()) {
	pkg, ok := packageNamed(req.Event)
	if !ok {
		return Reply{Status: 489, Expires: -1, Events: true}, nil
	}
	if !accepts(req.Accept, pkg.document) {
		return Reply{Status: 406, Accept: pkg.document, Expires: -1}, nil
	}
	if req.Contact == "" {
		return Reply{Status: 400, Reason: "Contact Is Missing", Expires: -1}, nil
	}
	who := s.Auth.Authenticate(ctx, authentication.Credentials{
		Method: "SUBSCRIBE", Flow: req.Flow, User: req.User, Authorize: req.Authorize,
	})
	if !who.OK {
		return Reply{
			Status: who.Reply.Status, Reason: who.Reply.Reason, Challenges: who.Reply.Challenges,
			RetryAfter: who.Reply.RetryAfter, Expires: -1, Sender: who.Reply.Sender,
		}, nil
	}
	r, after = s.serveUser(ctx, req, pkg, who.User)
	r.Sender = registration.Proven
	return r, after
}

// serveUser answers the SUBSCRIBE of a user who has proved who he is.
func (s *Service) serveUser(ctx context.Context, req *Request, pkg eventPackage, user authentication.Subscriber) (Reply, func()) {
	expires, brief := s.expires(req.Expires)
	if brief {
		return Reply{Status: 423, MinExpires: int(s.MinExpires / time.Second), Expires: -1}, nil
	}
	if req.ToTag != "" {
		return s.refresh(req, user, expires)
	}
	if no := s.mayWatch(ctx, req, pkg, user); no != 0 {
		r := Reply{Status: no, Expires: -1}
		if no == 503 {
			r.RetryAfter = retryAfter
		}
		return r, nil
	}
	return s.begin(req, pkg, user, expires)
}

// expires returns how long a subscription lasts, and whether it is too brief. Zero ends it, or only asks.
func (s *Service) expires(seconds int) (d time.Duration, brief bool) {
	if seconds < 0 {
		return s.DefaultExpires, false
	}
	d = min(time.Duration(seconds)*time.Second, s.MaxExpires)
	return d, d > 0 && d < s.MinExpires
}

// mayWatch returns the status of a refusal, or 0. The account follows from the domain, so whoever watches in another
// domain watches in another account.
func (s *Service) mayWatch(ctx context.Context, req *Request, pkg eventPackage, user authentication.Subscriber) int {
	if req.Target == user.AoR {
		return 0
	}
	if pkg.self || req.Target.Domain != user.AoR.Domain {
		return 403
	}
	found, err := s.Directory.Subscriber(ctx, req.Target)
	switch {
	case errors.Is(err, authentication.ErrUnknown):
		return 404
	case err != nil:
		return 503
	case found.Account != user.Account:
		return 403
	}
	return 0
}

func (s *Service) begin(req *Request, pkg eventPackage, user authentication.Subscriber, expires time.Duration) (Reply, func()) {
	sub := &subscription{
		id:   dialogID{req.CallID, req.LocalTag, req.RemoteTag, req.Event, req.EventID},
		user: user.AoR, pkg: pkg, of: watched{user.Account, req.Target}, flow: req.Flow, contact: req.Contact,
		route: req.Route, from: req.From, to: req.To, remote: req.CSeq, expires: s.now().Add(expires),
	}
	if first := s.table.find(sub.id); first != nil { // once more, as over TCP with nothing new but its credentials
		if first.of != sub.of {
			return Reply{Status: 481, Expires: -1}, nil
		}
		return s.prolong(first, req, user, expires)
	}
	if expires == 0 { // only asks (RFC 6665 §4.4.3)
		sub.over = timedOut
	}
	if user, full := s.table.add(sub, s.PerUser, s.Total); full {
		return unavailable(), nil
	} else if user {
		return Reply{Status: 403, Reason: "Too Many Subscriptions", Expires: -1}, nil
	}
	return s.taken(sub, expires)
}

// taken says yes; the NOTIFY goes out after that.
func (s *Service) taken(sub *subscription, expires time.Duration) (Reply, func()) {
	ok := Reply{Status: 200, Expires: int(expires / time.Second)}
	if expires == 0 {
		return ok, func() { s.send(sub) }
	}
	return ok, func() { s.tell(sub) }
}

// refresh serves a SUBSCRIBE within a dialog: of the one who began it alone.
func (s *Service) refresh(req *Request, user authentication.Subscriber, expires time.Duration) (Reply, func()) {
	return s.prolong(s.table.find(dialogID{req.CallID, req.ToTag, req.RemoteTag, req.Event, req.EventID}), req, user, expires)
}

// prolong takes what a SUBSCRIBE brings over into the subscription that stands, if one does.
func (s *Service) prolong(sub *subscription, req *Request, user authentication.Subscriber, expires time.Duration) (Reply, func()) {
	if sub == nil || sub.user != user.AoR {
		return Reply{Status: 481, Expires: -1}, nil
	}
	switch stands, inOrder := s.table.renew(sub, req, s.now().Add(expires)); {
	case !stands: // it has ended meanwhile: the phone is to subscribe anew
		return Reply{Status: 481, Expires: -1}, nil
	case !inOrder:
		return Reply{Status: 500, Reason: "CSeq Out Of Order", Expires: -1}, nil
	}
	if expires == 0 {
		s.table.end(sub, timedOut)
	}
	return s.taken(sub, expires)
}

// renew takes over what a SUBSCRIBE brings, unless the subscription is over, or the SUBSCRIBE out of order (RFC 3261 §12.2.2). The first of
// a dialog may come once more.
func (t *table) renew(s *subscription, req *Request, expires time.Time) (stands, inOrder bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all[s.id] != s {
		return false, true
	}
	if req.CSeq < s.remote || req.CSeq == s.remote && req.ToTag != "" {
		return true, false
	}
	t.leave(s)
	s.remote, s.flow, s.contact, s.expires = req.CSeq, req.Flow, req.Contact, expires
	t.enter(s)
	s.next = time.Time{} // a NOTIFY is owed at once
	return true, true
}

// accepts reports whether the phone takes the document; without Accept it takes the package's (RFC 6665 §3.1.3).
func accepts(accept []string, document string) bool {
	if len(accept) == 0 {
		return true
	}
	kind, _, _ := strings.Cut(document, "/")
	for _, a := range accept {
		a, _, _ = strings.Cut(a, ";")
		a = strings.ToLower(strings.TrimSpace(a))
		if a == document || a == "*/*" || a == kind+"/*" {
			return true
		}
	}
	return false
}
