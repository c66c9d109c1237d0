package registration

import "time"

// Refresh is Decide for what nearly every REGISTER is: a phone says again, over the same flow, what it said last, and the other phones
// of its AoR stay as they are. It returns which binding goes on, and until when; it has no side effect. ok is false for everything
// else, whatever that is.
func Refresh(rules *Rules, s *State, req *Request, now time.Time) (at int, until time.Time, ok bool) {
	if len(req.Contacts) != 1 || req.Star || req.PathAsked || req.Proxied || len(req.Path) > 0 || len(s.Bindings) > rules.Contacts {
		return 0, time.Time{}, false
	}
	c := &req.Contacts[0]
	if at = s.same(req, c, now); at < 0 || req.CSeq <= s.Bindings[at].CSeq || asksForPush(c.URI) {
		return 0, time.Time{}, false // what is the same had no fault then, and has none now
	}
	expires := rules.expires(req, c)
	if expires == 0 || expires < rules.MinExpires {
		return 0, time.Time{}, false
	}
	until = now.Add(min(expires, rules.MaxExpires))
	return at, until, !until.Before(s.Bindings[at].Expires) // else it has to be looked at earlier than was planned
}

// Prolong notes a refresh.
func (b *Binding) Prolong(s *State, req *Request, now, until time.Time) {
	b.CSeq, b.RefreshedAt, b.Expires, b.Proof = req.CSeq, now, until, s.Proof
}

// AnswerRefresh writes the 200 to that into a reply that is empty. The bindings are as they are from now on.
func AnswerRefresh(rules *Rules, req *Request, bindings []Binding, now time.Time, reply Reply) Reply {
	reply.Status, reply.Date = 200, now
	reply.show(bindings, now)
	reply.outbound(rules, req)
	return reply
}

// same returns the binding of which the request says nothing but that it goes on, or -1, also when one of the others is over.
func (s *State) same(req *Request, c *Contact, now time.Time) (at int) {
	at = -1
	for i := range s.Bindings {
		b := &s.Bindings[i]
		if b.Over(s.Node, s.Present, now) {
			return -1
		}
		if at < 0 && b.same(s, req, c) {
			at = i
		}
	}
	return at
}

// same reports whether the request says nothing of the binding but that it goes on. Its key follows from the rest: see ContactKey.
func (b *Binding) same(s *State, req *Request, c *Contact) bool {
	return b.Reachable && b.Flow == req.Flow && b.Path == "" && b.Node == s.Node && b.Account == s.Account && b.AoR == s.AoR &&
		b.Contact == c.URI && b.Instance == c.Instance && b.RegID == c.flow(req) && b.Q == c.Q && b.CallID == req.CallID &&
		b.UserAgent == req.UserAgent && len(req.UserAgent) <= maxUserAgent
}
