package guard

import (
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"demarc/internal/bounded"
	"demarc/telephony"
)

// Standing keeps what sources and devices have earned: who proved who they are, who guessed, who only asks. All of it is
// in bounded memory, and only those who proved something can push out what others have proved.
type Standing struct {
	limits  Limits
	proxies []netip.Prefix
	now     func() time.Time
	seed    maphash.Seed

	trusted   *bounded.Map[netip.Addr, int64]    // when somebody last proved who they are, in Unix seconds
	devices   *bounded.Marks                     // devices that proved it: known ones are served first
	guesses   *bounded.Map[uint64, bucket]       // wrong answers by (AoR, source)
	strangers *bounded.Map[netip.Addr, stranger] // what a source did since it last proved anything
	banned    *bounded.Map[netip.Addr, int64]    // until when, in Unix seconds
	bans      atomic.Uint64
	admission *rate.Limiter
	passed    atomic.Uint64 // known devices that were admitted
	settled   uint64        // of how many of them the budget is told at once
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
	told bool  // that it is spent; until it is full again
	at   int64 // Unix nanoseconds
}

// stranger counts within one window of time.
type stranger struct {
	since           int64 // Unix seconds
	requests, wrong int32
}

// NewStanding returns empty books. A source among the proxies is never banned, since many phones stand behind one.
func NewStanding(l Limits, proxies []netip.Prefix, now func() time.Time) *Standing {
	return &Standing{
		limits: l, proxies: proxies, now: now, seed: maphash.MakeSeed(),
		trusted: bounded.NewMap[netip.Addr, int64](maxTrusted), devices: bounded.NewMarks(maxDevices),
		guesses:   bounded.NewMap[uint64, bucket](maxGuesses),
		strangers: bounded.NewMap[netip.Addr, stranger](maxStrangers),
		banned:    bounded.NewMap[netip.Addr, int64](maxBanned),
		admission: rate.NewLimiter(rate.Limit(l.Admission), l.Admission),
		settled:   uint64(max(1, min(l.Admission, maxSettled))),
	}
}

// Caller is who a request says it is from. Its texts may be borrowed.
type Caller struct {
	AoR      telephony.AoR
	Name     uint64 // of the AoR, in the books
	Instance string // of RFC 5626 §4.1; empty: none was given
	CallID   string
	Answers  bool // it carries an answer to a challenge

	source netip.Addr
	dev    uint64 // see Device; 0 before somebody asked
}

// Caller returns who speaks for an AoR at an address. What else is known of it is to be filled in before anything is asked.
func (s *Standing) Caller(aor telephony.AoR, from netip.Addr) Caller {
	return Caller{AoR: aor, source: Source(from), Name: maphash.Comparable(s.seed, aor)}
}

// Own returns the caller without borrowed texts.
func (s *Standing) Own(c Caller) Caller {
	c.dev = s.Device(&c)
	c.Instance, c.CallID = "", ""
	c.AoR = telephony.AoR{User: strings.Clone(c.AoR.User), Domain: strings.Clone(c.AoR.Domain)}
	return c
}

// Device names a device: by its instance (RFC 5626 §4.1), which nobody else knows, or by the Call-ID that it keeps for all
// its registrations (RFC 3261 §10.2), from the same source.
func (s *Standing) Device(c *Caller) uint64 {
	if c.dev == 0 {
		text, at := telephony.CanonicalInstance(c.Instance), c.Name
		if text == "" {
			text, at = c.CallID, s.pair(c)
		}
		c.dev = mix(at, maphash.String(s.seed, text))
	}
	return c.dev
}

// pair names an AoR at a source.
func (s *Standing) pair(c *Caller) uint64 {
	return mix(c.Name, maphash.Comparable(s.seed, c.source.As16()))
}

// mix makes one hash of two.
func mix(a, b uint64) uint64 {
	const odd = 0x9e3779b97f4a7c15
	return (a^a>>32)*odd + b
}

// Recognises reports whether the device proved who it is before.
func (s *Standing) Recognises(c *Caller) bool {
	return s.devices.Has(s.Device(c))
}

// Proven notes that the caller is who it says, at a time.
func (s *Standing) Proven(c *Caller, at time.Time) {
	s.devices.Add(s.Device(c))
	s.trusts(c.source, at.Unix())
	if !s.strangers.Empty() {
		s.strangers.Remove(c.source)
	}
	if !s.banned.Empty() {
		s.banned.Remove(c.source)
	}
}

// trusts notes when somebody at a source last proved who they are, to the minute: it counts for a day.
func (s *Standing) trusts(from netip.Addr, at int64) {
	if before, ok := s.trusted.Find(from); !ok || at-before >= 60 || at < before {
		s.trusted.Set(from, at)
	}
}

// MayGuess reports whether an answer of the caller is worth computing. Devices that proved who they are may always.
func (s *Standing) MayGuess(c *Caller) bool {
	if s.guesses.Empty() {
		return true
	}
	b, ok := s.guesses.Find(s.pair(c))
	return !ok || s.refilled(b).left >= 1 || s.Recognises(c)
}

func (s *Standing) refilled(b bucket) bucket {
	now := s.now().UnixNano()
	if now < b.at-int64(s.limits.GuessRefill) { // the clock was set back: who waits for it to catch up would wait for long
		return bucket{left: float32(s.limits.Guesses), at: now}
	}
	full := float32(s.limits.Guesses)
	left := min(b.left+float32(now-b.at)/float32(s.limits.GuessRefill), full)
	return bucket{left: left, told: b.told && left < full, at: now}
}

// Wrong notes a wrong answer, and reports whether it is the one after which the pair of AoR and source is not heard any more: true
// once until that has kept quiet for long enough.
func (s *Standing) Wrong(c *Caller) (spent bool) {
	s.guesses.Update(s.pair(c), func(b bucket, found bool) bucket {
		if !found {
			b = bucket{left: float32(s.limits.Guesses), at: s.now().UnixNano()}
		}
		b = s.refilled(b)
		b.left = max(0, b.left-1)
		spent = b.left < 1 && !b.told
		b.told = b.told || spent
		return b
	})
	s.watch(c.source, 0, 1)
	return spent
}

// Asked notes a request from an address on a flow where nobody proved anything.
func (s *Standing) Asked(from netip.Addr) { s.watch(Source(from), 1, 0) }

// watch bans a source that does too much, unless somebody there proved who they are within a day: an office stands behind
// one address, and one bad program there must not take everybody's phone.
func (s *Standing) watch(from netip.Addr, requests, wrong int32) {
	now := s.now().Unix()
	v := s.strangers.Update(from, func(v stranger, _ bool) stranger {
		if passed := now - v.since; passed < 0 || passed >= int64(s.limits.Window/time.Second) {
			v = stranger{since: now}
		}
		v.requests += requests
		v.wrong += wrong
		return v
	})
	if int(v.requests) <= s.limits.SourceRequests && int(v.wrong) <= s.limits.SourceWrong {
		return
	}
	if at, ok := s.trusted.Find(from); ok && now-at < int64(s.limits.Trust/time.Second) {
		return
	}
	if slices.ContainsFunc(s.proxies, whole(from).Overlaps) {
		return
	}
	if _, ok := s.banned.Find(from); !ok {
		s.bans.Add(1)
	}
	s.banned.Set(from, now+int64(s.limits.Ban/time.Second))
}

// Banned reports whether an address is met with silence.
func (s *Standing) Banned(from netip.Addr) bool {
	if s.banned.Empty() {
		return false
	}
	from = Source(from)
	until, ok := s.banned.Find(from)
	if !ok {
		return false
	}
	if left := until - s.now().Unix(); left > 0 && left <= int64(s.limits.Ban/time.Second) { // more is left when the clock was set back
		return true
	}
	s.banned.Remove(from)
	s.strangers.Remove(from)
	return false
}

// Bans returns how many times a source was banned.
func (s *Standing) Bans() uint64 { return s.bans.Load() }

// Admit takes a place for a request that means work, or reports that there is none. Known devices take theirs always, and from the same budget: they come
// first.
func (s *Standing) Admit(known bool) bool {
	if !known {
		return s.admission.Allow()
	}
	if s.passed.Add(1)%s.settled == 0 { // the budget is told of many at once: one by one it would cost more than to be admitted
		s.admission.AllowN(time.Now(), int(s.settled))
	}
	return true
}

// maxSettled is how many known devices the budget is told of at once, if it has as many places.
const maxSettled = 32
