package registrar

import (
	"net/netip"
	"sync"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
)

// departure is the last phone that was registered from an address and is not any more.
type departure struct {
	account account.ID
	change  telephony.RegistrationChange
	several bool      // phones of several users were there: nobody can tell whose it is
	told    time.Time // when a fault was last put down to it
}

const (
	maxDepartures = 1 << 13          // addresses, twice
	faultPause    = 10 * time.Minute // between two faults of one address that are told
	departedFor   = 24 * time.Hour   // that long a fault is put down to it
)

// departures remembers, in two maps that take turns, who was last registered from an address.
type departures struct {
	mu                sync.Mutex
	current, previous map[netip.Addr]departure
}

// note takes in that bindings have ended.
func (d *departures) note(changes []telephony.RegistrationChange) {
	for _, c := range changes {
		at, err := netip.ParseAddrPort(c.Remote)
		if !c.Kind.OfBinding() || c.Kind == telephony.BindingRegistered || c.Kind == telephony.PushMalformed || err != nil {
			continue
		}
		d.mu.Lock()
		before, known := d.find(at.Addr())
		now := departure{account: c.Account, change: c, told: before.told}
		now.several = known && (before.several || before.change.AoR != c.AoR)
		d.put(at.Addr(), now)
		d.mu.Unlock()
	}
}

func (d *departures) find(a netip.Addr) (departure, bool) {
	if found, ok := d.current[a]; ok {
		return found, true
	}
	found, ok := d.previous[a]
	return found, ok
}

func (d *departures) put(a netip.Addr, of departure) {
	if d.current == nil || len(d.current) >= maxDepartures {
		d.current, d.previous = make(map[netip.Addr]departure), d.current
	}
	d.current[a] = of
}

// suspect returns the phone that a fault from an address is to be put down to, at most once in a while.
func (d *departures) suspect(a netip.Addr, now time.Time) (telephony.RegistrationChange, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, ok := d.find(a)
	if !ok || found.several || now.Sub(found.change.At) > departedFor || now.Sub(found.told) < faultPause {
		return telephony.RegistrationChange{}, false
	}
	found.told = now
	d.put(a, found)
	return found.change, true
}

// HandshakeFailed tells the timeline of a user that a TLS handshake failed. Nobody has said who they are by then: it is put
// down to the one user whose phone was registered from that very address within a day and is not any more, and told as a
// likelihood. Where phones of several users are or were, as behind an office's NAT, nobody is told. Fault says what failed
// and what to do.
func (r *Registrar) HandshakeFailed(f Flow, fault string) {
	from, now := f.Remote.Addr(), r.now()
	was, ok := r.departed.suspect(from, now)
	if !ok || r.othersAt(from, was.AoR) {
		return
	}
	phone := "phone"
	if was.UserAgent != "" {
		phone += " (" + was.UserAgent + ")"
	}
	c := was
	c.At, c.Kind, c.Transport, c.Remote = now, telephony.HandshakeFailed, f.Transport, f.RemoteText()
	c.Text = "TLS handshake from " + from.String() + ", where this user's " + phone + " was registered until " +
		was.At.UTC().Format("2006-01-02 15:04") + " UTC, failed. Most likely it was that phone: " + fault
	r.shard(was.AoR).queue.tell(c)
}

// othersAt reports whether a phone of another user is registered from the address, or one of this user has its connection
// from there: then the fault is most likely not the departed phone's.
func (r *Registrar) othersAt(a netip.Addr, aor telephony.AoR) (found bool) {
	r.Each(func(b Binding) {
		if b.Flow.Remote.Addr() == a && (b.AoR != aor || b.Reachable && b.Flow.Transport.Secure()) {
			found = true
		}
	})
	return found
}

// repeats counts how often the same comes again within a minute, in bounded memory.
type repeats struct {
	mu    sync.Mutex
	since time.Time
	seen  map[string]int
}

const (
	repeatWindow = time.Minute
	maxRepeats   = 4096
)

// count returns how often the key has come within the window.
func (r *repeats) count(key string, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || now.Sub(r.since) >= repeatWindow || len(r.seen) >= maxRepeats {
		r.seen, r.since = make(map[string]int), now
	}
	r.seen[key]++
	return r.seen[key]
}
