package edge

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"demarc/telephony"
	"demarc/telephony/registrar"
)

// standing keeps what sources and devices have earned: who proved who they are, who guessed, who only asks. All of it is
// in bounded memory, and only those who proved something can push out what others have proved.
type standing struct {
	limits  Limits
	proxies []netip.Prefix
	now     func() time.Time
	seed    maphash.Seed

	trusted   *generations[netip.Addr, int64]    // when somebody last proved who they are, in Unix seconds
	devices   *generations[uint64, struct{}]     // devices that proved it: known ones are served first
	guesses   *generations[uint64, bucket]       // wrong answers by (AoR, source)
	strangers *generations[netip.Addr, stranger] // what a source did since it last proved anything
	banned    *generations[netip.Addr, int64]    // until when, in Unix seconds
	bans      atomic.Uint64
	admission *rate.Limiter
	passed    atomic.Uint64 // known devices that were admitted
}

// How much is remembered.
const (
	maxTrusted   = 1 << 16
	maxDevices   = 1 << 18
	maxGuesses   = 1 << 16
	maxStrangers = 1 << 15
	maxBanned    = 1 << 15
)

// bucket holds what is left of a budget that refills with time.
type bucket struct {
	left float32
	at   int64 // Unix nanoseconds
}

// stranger counts within one window of time.
type stranger struct {
	since           int64 // Unix seconds
	requests, wrong int32
}

func newStanding(c Config) *standing {
	l := c.Limits
	return &standing{
		limits: l, proxies: c.Proxies, now: c.Now, seed: maphash.MakeSeed(),
		trusted: newGenerations[netip.Addr, int64](maxTrusted), devices: newGenerations[uint64, struct{}](maxDevices),
		guesses:   newGenerations[uint64, bucket](maxGuesses),
		strangers: newGenerations[netip.Addr, stranger](maxStrangers),
		banned:    newGenerations[netip.Addr, int64](maxBanned),
		admission: rate.NewLimiter(rate.Limit(l.Admission), l.Admission),
	}
}

// caller is who a request says it is from. Its texts may be borrowed.
type caller struct {
	aor      telephony.AoR
	name     uint64 // of the AoR, in the books
	instance string
	callID   string
	source   netip.Addr
	answers  bool   // it carries an answer to a challenge
	dev      uint64 // see device; 0 before somebody asked
}

// caller returns who speaks for an AoR at a source.
func (s *standing) caller(aor telephony.AoR, source netip.Addr) caller {
	return caller{aor: aor, source: source, name: mix(maphash.String(s.seed, aor.User), maphash.String(s.seed, aor.Domain))}
}

func (s *standing) callerOf(req *registrar.Request) caller {
	c := s.caller(req.To, source(req.Flow.Remote.Addr()))
	c.callID, c.answers = req.CallID, len(req.Authorize) > 0
	if len(req.Contacts) > 0 {
		c.instance = req.Contacts[0].Instance
	}
	return c
}

// own returns the caller without borrowed texts.
func (s *standing) own(c caller) caller {
	c.dev = s.device(&c)
	c.instance, c.callID = "", ""
	c.aor = telephony.AoR{User: strings.Clone(c.aor.User), Domain: strings.Clone(c.aor.Domain)}
	return c
}

// device names a device: by its instance (RFC 5626 §4.1), which nobody else knows, or by the Call-ID that it keeps for all
// its registrations (RFC 3261 §10.2), from the same source.
func (s *standing) device(c *caller) uint64 {
	if c.dev == 0 {
		text, at := c.instance, c.name
		if text == "" {
			text, at = c.callID, s.pair(c)
		}
		c.dev = mix(at, maphash.String(s.seed, text))
	}
	return c.dev
}

// pair names an AoR at a source.
func (s *standing) pair(c *caller) uint64 {
	b := c.source.As16()
	return mix(c.name, maphash.Bytes(s.seed, b[:]))
}

// mix makes one hash of two.
func mix(a, b uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	return (a^a>>32)*odd + b
}

// recognises reports whether the device proved who it is before.
func (s *standing) recognises(c *caller) bool {
	_, ok := s.devices.find(s.device(c))
	return ok
}

// proven notes that the caller is who it says, at a time.
func (s *standing) proven(c *caller, at time.Time) {
	s.devices.use(s.device(c), func() struct{} { return struct{}{} })
	s.trusts(c.source, at.Unix())
	if !s.strangers.empty() {
		s.strangers.remove(c.source)
	}
	if !s.banned.empty() {
		s.banned.remove(c.source)
	}
}

// trusts notes when somebody at a source last proved who they are, to the minute: it counts for a day.
func (s *standing) trusts(from netip.Addr, at int64) {
	if before, ok := s.trusted.find(from); !ok || at-before >= 60 || at < before {
		s.trusted.set(from, at)
	}
}

// mayGuess reports whether an answer of the caller is worth computing. Devices that proved who they are may always.
func (s *standing) mayGuess(c *caller) bool {
	if s.guesses.empty() {
		return true
	}
	b, ok := s.guesses.find(s.pair(c))
	return !ok || s.refilled(b).left >= 1 || s.recognises(c)
}

func (s *standing) refilled(b bucket) bucket {
	now := s.now().UnixNano()
	b.left += float32(now-b.at) / float32(s.limits.GuessRefill)
	return bucket{left: min(b.left, float32(s.limits.Guesses)), at: now}
}

// wrong notes a wrong answer.
func (s *standing) wrong(c *caller) {
	s.guesses.update(s.pair(c), func(b bucket, found bool) bucket {
		if !found {
			b = bucket{left: float32(s.limits.Guesses), at: s.now().UnixNano()}
		}
		b = s.refilled(b)
		b.left = max(0, b.left-1)
		return b
	})
	s.watch(c.source, 0, 1)
}

// asked notes a request from a source on a flow where nobody proved anything.
func (s *standing) asked(from netip.Addr) { s.watch(from, 1, 0) }

// watch bans a source that does too much, unless somebody there proved who they are within a day: an office stands behind
// one address, and one bad program there must not take everybody's phone.
func (s *standing) watch(from netip.Addr, requests, wrong int32) {
	now := s.now().Unix()
	v := s.strangers.update(from, func(v stranger, _ bool) stranger {
		if now-v.since >= int64(s.limits.Window/time.Second) {
			v = stranger{since: now}
		}
		v.requests += requests
		v.wrong += wrong
		return v
	})
	if int(v.requests) <= s.limits.SourceRequests && int(v.wrong) <= s.limits.SourceWrong {
		return
	}
	if at, ok := s.trusted.find(from); ok && now-at < int64(s.limits.Trust/time.Second) {
		return
	}
	if slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(from) }) {
		return
	}
	if _, ok := s.banned.find(from); !ok {
		s.bans.Add(1)
	}
	s.banned.set(from, now+int64(s.limits.Ban/time.Second))
}

// isBanned reports whether the source is met with silence.
func (s *standing) isBanned(from netip.Addr) bool {
	if s.banned.empty() {
		return false
	}
	until, ok := s.banned.find(from)
	if !ok {
		return false
	}
	if s.now().Unix() < until {
		return true
	}
	s.banned.remove(from)
	s.strangers.remove(from)
	return false
}

// admit takes a place for a request that means work. Known devices take theirs always, and from the same budget: they come
// first.
func (s *standing) admit(known bool) bool {
	if !known {
		return s.admission.Allow()
	}
	if s.passed.Add(1)%settled == 0 { // the budget is told of many at once: one by one it would cost more than to be admitted
		s.admission.AllowN(time.Now(), settled)
	}
	return true
}

const settled = 32
