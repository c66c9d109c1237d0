package registration

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
)

// Rules are the registrar's settings for bindings.
type Rules struct {
	MinExpires     time.Duration // shorter ones are refused with 423
	DefaultExpires time.Duration // when the phone names none
	MaxExpires     time.Duration // longer ones are cut
	Contacts       int           // per AoR

	FlowTimer time.Duration  // how often phones are asked to keep their flow alive; no Flow-Timer when 0
	Proxies   []netip.Prefix // whose Path is believed
	Push      []string       // push providers that are served; none: push parameters are kept, and nothing is promised
}

// WithDefaults returns the rules with defaults for what is 0: 1 min, 1 h, 2 h and 10 contacts.
func (r Rules) WithDefaults() Rules {
	r.MinExpires = cmp.Or(r.MinExpires, time.Minute)
	r.DefaultExpires = cmp.Or(r.DefaultExpires, time.Hour)
	r.MaxExpires = cmp.Or(r.MaxExpires, 2*time.Hour)
	r.Contacts = cmp.Or(r.Contacts, 10)
	return r
}

// State is what stands for one AoR before a request.
type State struct {
	Account  account.ID
	Node     string
	AoR      telephony.AoR
	Proof    uint32 // of the credential that the request's sender has, see Binding
	Bindings []Binding
	Present  func(node string) bool // whether another node is there, whose bindings are its own to end; nil: none is
}

// Decision is what becomes of a request: the answer, the bindings after it, and what to tell.
type Decision struct {
	Reply    Reply
	Bindings []Binding
	Changes  []telephony.RegistrationChange // without node and number
	Outcome  Outcome
	Text     string // for support staff, when refused
}

// Decide applies the rules to a REGISTER whose sender is authenticated as the AoR's user. It has no side effect and
// leaves the state's slice as it is. Either all of a request takes effect or nothing (RFC 3261 §10.3 step 7).
func Decide(rules Rules, s State, req *Request, now time.Time) Decision {
	live, changes := Expire(s.Bindings, s.Node, s.Present, now)
	t := turn{rules: rules, state: s, req: req, now: now, bindings: live, stood: len(live), changes: changes}
	before := len(changes)
	if no := t.apply(); no != nil {
		live, _ = Expire(s.Bindings, s.Node, s.Present, now)
		return Decision{
			Reply: no.reply, Bindings: live, Changes: t.changes[:before], Outcome: no.outcome, Text: no.text,
		}
	}
	return Decision{Reply: t.success(), Bindings: t.bindings, Changes: t.changes, Outcome: t.outcome}
}

// Retransmitted reports whether the request is the one that made the bindings as they stand: same Call-ID and CSeq from
// the same place. It gets its 200 again, without a kept transaction.
func Retransmitted(s State, req *Request) bool {
	found := false
	for _, c := range req.Contacts {
		i, ends := match(s.Bindings, c, req), c.ends(req)
		if i < 0 && ends {
			continue
		}
		if i < 0 || ends {
			return false
		}
		b := s.Bindings[i]
		if b.CallID != req.CallID || b.CSeq != req.CSeq || b.Flow.Remote != req.Flow.Remote {
			return false
		}
		found = true
	}
	return found
}

// refusal is a request that changes nothing.
type refusal struct {
	reply   Reply
	outcome Outcome
	text    string
}

// turn is one request at work on a copy of the bindings.
type turn struct {
	rules    Rules
	state    State
	req      *Request
	now      time.Time
	bindings []Binding
	stood    int // how many bindings there were
	changes  []telephony.RegistrationChange
	touched  []string // keys that this request has written
	path     string   // Path to be kept
	pushers  []string // push providers that proxies of ours serve
	outcome  Outcome
}

func (t *turn) apply() *refusal {
	if text := t.req.fault(); text != "" {
		return &refusal{
			Reply{Status: 400, Reason: text}, BadRequest, "The phone sent a REGISTER that breaks a rule: " + text + ".",
		}
	}
	if no := t.extensions(); no != nil {
		return no
	}
	switch {
	case t.req.Star:
		return t.removeAll()
	case len(t.req.Contacts) == 0: // RFC 3261 §10.2.3: the phone only asks
		t.outcome = Fetched
		return nil
	case Retransmitted(State{Bindings: t.bindings}, t.req):
		t.outcome = Retransmission
		return nil
	}
	t.outcome = Refreshed
	for _, c := range t.req.Contacts {
		if no := t.contact(c); no != nil {
			return no
		}
	}
	return t.limit()
}

// removeAll serves "Contact: *" with Expires 0 (RFC 3261 §10.3 step 6).
func (t *turn) removeAll() *refusal {
	for _, b := range t.bindings {
		if b.CallID == t.req.CallID && b.CSeq >= t.req.CSeq {
			return outOfOrder()
		}
	}
	for _, b := range t.bindings {
		t.tell(b, telephony.BindingUnregistered)
	}
	t.bindings, t.outcome = nil, Removed
	return nil
}

// contact serves one Contact value (RFC 3261 §10.3 step 7).
func (t *turn) contact(c Contact) *refusal {
	expires := t.rules.expires(t.req, &c)
	if expires > 0 && expires < t.rules.MinExpires {
		return &refusal{
			Reply{Status: 423, MinExpires: int((t.rules.MinExpires + time.Second - 1) / time.Second)}, TooBrief,
			"The phone asked for a registration of " + expires.String() + ", the least is " +
				t.rules.MinExpires.String() + ". Raise the registration interval in the phone.",
		}
	}
	expires = min(expires, t.rules.MaxExpires)
	i := match(t.bindings, c, t.req)
	if i < 0 {
		if expires > 0 {
			t.add(c, expires)
		}
		return nil
	}
	old := t.bindings[i]
	if slices.Contains(t.touched, old.Key) {
		return &refusal{Reply{Status: 400, Reason: "Contact Stands Twice"}, BadRequest,
			"The phone sent the same contact twice in one REGISTER."}
	}
	if old.CallID == t.req.CallID && old.CSeq >= t.req.CSeq {
		return outOfOrder()
	}
	if expires == 0 {
		t.bindings = slices.Delete(t.bindings, i, i+1)
		t.tell(old, telephony.BindingUnregistered)
		t.outcome = Removed
		return nil
	}
	t.replace(i, c, expires)
	return nil
}

// expires picks the contact's own expiry, else the header's, else the default.
func (r *Rules) expires(req *Request, c *Contact) time.Duration {
	seconds := c.Expires
	if seconds < 0 {
		seconds = req.Expires
	}
	if seconds < 0 {
		return r.DefaultExpires
	}
	return time.Duration(seconds) * time.Second
}

func (t *turn) add(c Contact, expires time.Duration) {
	b := t.binding(c, expires)
	b.share(&Binding{})
	t.bindings = append(t.bindings, b)
	t.touched = append(t.touched, b.Key)
	t.tell(b, telephony.BindingRegistered)
	t.tellPush(b)
	t.outcome = Registered
}

// replace refreshes a binding, or puts a phone's new connection in the place of its old one.
func (t *turn) replace(i int, c Contact, expires time.Duration) {
	old, b := t.bindings[i], t.binding(c, expires)
	b.share(&old)
	t.touched = append(t.touched, b.Key)
	t.bindings[i] = b
	if old.Contact != b.Contact {
		t.tellPush(b)
	}
	if old.Key == b.Key && telephony.SameInstance(old.Instance, b.Instance) && old.Reachable && old.Node == b.Node {
		t.bindings[i].RegisteredAt, t.bindings[i].Row = old.RegisteredAt, old.Row
		if b.Moved(&old) {
			t.tell(b, telephony.BindingRegistered) // it has no gap, but other nodes read again only what they are told of
		}
		return
	}
	if old.Instance != "" && !telephony.SameInstance(old.Instance, b.Instance) {
		t.tell(old, telephony.BindingDisplaced) // another phone came to the same contact
	}
	t.tell(b, telephony.BindingRegistered)
	t.outcome = Registered
}

func (t *turn) binding(c Contact, expires time.Duration) Binding {
	c.RegID = c.flow(t.req)
	return Binding{
		Account: t.state.Account, Node: t.state.Node, AoR: t.state.AoR, Key: ContactKey(c, t.req.Outbound),
		Contact: c.URI, Instance: c.Instance, RegID: c.RegID, Q: c.Q, CallID: t.req.CallID, CSeq: t.req.CSeq,
		Flow: t.req.Flow, Path: t.path, Reachable: true, UserAgent: clip(t.req.UserAgent, maxUserAgent), RegisteredAt: t.now,
		RefreshedAt: t.now, Expires: t.now.Add(expires), Proof: t.state.Proof,
	}
}

// limit drops the oldest dead bindings beyond the limit, those that a push can wake last; when all are alive it is the
// new one that has no place. There may be more than the limit when several nodes gave the last place away at the same time.
func (t *turn) limit() *refusal {
	for len(t.bindings) > t.rules.Contacts {
		oldest, asleep := -1, false
		for i, b := range t.bindings {
			if b.Reachable {
				continue
			}
			sleeps := b.Asleep()
			if oldest < 0 || asleep && !sleeps ||
				asleep == sleeps && b.RefreshedAt.Before(t.bindings[oldest].RefreshedAt) {
				oldest, asleep = i, sleeps
			}
		}
		if oldest < 0 && len(t.bindings) <= t.stood {
			return nil
		}
		if oldest < 0 {
			return &refusal{
				Reply{Status: 403, Reason: "Too Many Contacts"}, TooMany,
				"This extension already has " + itoa(t.rules.Contacts) + " registered phones, the most that is " +
					"allowed. Sign one of them out, or wait until its registration ends.",
			}
		}
		t.tell(t.bindings[oldest], telephony.BindingDisplaced)
		t.bindings = slices.Delete(t.bindings, oldest, oldest+1)
	}
	return nil
}

func (t *turn) tell(b Binding, kind telephony.RegistrationChangeKind) {
	t.changes = append(t.changes, b.Change(kind, t.now))
}

func outOfOrder() *refusal {
	return &refusal{Reply{Status: 500, Reason: "CSeq Out Of Order"}, OutOfOrder,
		"The phone sent a REGISTER that by its Call-ID and CSeq is no newer than its last one. Most likely it was restarted and " +
			"counts anew under the same Call-ID: update it, or wait until its registration ends."}
}

// Expire returns a copy without the bindings that have ended, and tells of those.
func Expire(bindings []Binding, node string, present func(string) bool, now time.Time) ([]Binding, []telephony.RegistrationChange) {
	live := make([]Binding, 0, max(1, len(bindings))) // nearly always it stays at that
	var changes []telephony.RegistrationChange
	for i := range bindings {
		if b := &bindings[i]; !b.Over(node, present, now) {
			live = append(live, *b)
		} else {
			changes = append(changes, b.Change(telephony.BindingExpired, now))
		}
	}
	return live, changes
}

func itoa(n int) string { return strconv.Itoa(n) }
