package registrar

import "time"

// refresh is Decide for what nearly every REGISTER is: the only phone of an AoR says again, over the same flow, what it said
// last. It returns when the binding ends from now on; it has no side effect. ok is false for everything else, whatever that is.
func refresh(rules *Rules, s *State, req *Request, now time.Time) (until time.Time, ok bool) {
	if len(s.Bindings) != 1 || len(req.Contacts) != 1 || req.Star || req.PathAsked || req.Proxied || len(req.Path) > 0 {
		return time.Time{}, false
	}
	old, c := &s.Bindings[0], &req.Contacts[0]
	if !old.same(s, req, c) || req.CSeq <= old.CSeq || old.over(s.Node, now) || asksForPush(c.URI) {
		return time.Time{}, false // what is the same had no fault then, and has none now
	}
	expires := rules.expires(req, c)
	if expires == 0 || expires < rules.MinExpires {
		return time.Time{}, false
	}
	until = now.Add(min(expires, rules.MaxExpires))
	return until, !until.Before(old.Expires) // else it has to be looked at earlier than was planned
}

// refreshes decides by the short way, if that can be.
func (s *State) refreshes(rules *Rules, req *Request, now time.Time) (d Decision, ok bool) {
	until, ok := refresh(rules, s, req, now)
	if !ok {
		return Decision{}, false
	}
	b := s.Bindings[0]
	b.CSeq, b.RefreshedAt, b.Expires = req.CSeq, now, until
	d = Decision{Bindings: []Binding{b}, Outcome: Refreshed}
	d.Reply = refreshed(rules, req, &d.Bindings[0], now, Reply{})
	return d, true
}

// refreshed writes the 200 to that into a reply that is empty. The binding is as it is from now on.
func refreshed(rules *Rules, req *Request, b *Binding, now time.Time, reply Reply) Reply {
	reply.Status, reply.Date = 200, now
	reply.Bindings = append(reply.Bindings, b.shown(now))
	reply.outbound(rules, req)
	return reply
}

// same reports whether the request says nothing of the binding but that it goes on. Its key follows from the rest: see contactKey.
func (b *Binding) same(s *State, req *Request, c *Contact) bool {
	return b.Reachable && b.Flow == req.Flow && b.Path == "" && b.Node == s.Node && b.Account == s.Account && b.AoR == s.AoR &&
		b.Contact == c.URI && b.Instance == c.Instance && b.RegID == c.flow(req) && b.Q == c.Q && b.CallID == req.CallID &&
		b.UserAgent == req.UserAgent && len(req.UserAgent) <= maxUserAgent
}
