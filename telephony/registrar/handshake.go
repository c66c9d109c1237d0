package registrar

import (
	"net/netip"
	"time"

	"demarc/internal/bounded"
	"demarc/telephony"
	"demarc/telephony/registration"
)

// departure is the last phone that was registered from an address and is not any more.
type departure struct {
	change  telephony.RegistrationChange
	several bool      // phones of several users were there: nobody can tell whose it is
	told    time.Time // when a fault was last put down to it
}

const (
	maxDepartures = 1 << 14          // addresses
	faultPause    = 10 * time.Minute // between two faults of one address that are told
	departedFor   = 24 * time.Hour   // that long a fault is put down to it
)

// departures remember who was last registered from an address.
type departures struct {
	by *bounded.Map[netip.Addr, departure]
}

func newDepartures() departures {
	return departures{bounded.NewMap[netip.Addr, departure](maxDepartures)}
}

// note takes in that bindings have ended.
func (d departures) note(changes []telephony.RegistrationChange) {
	for _, c := range changes {
		at, err := netip.ParseAddrPort(c.Remote)
		if !c.Kind.OfBinding() || c.Kind == telephony.BindingRegistered || c.Kind == telephony.PushMalformed || err != nil {
			continue
		}
		d.by.Update(at.Addr(), func(before departure, known bool) departure {
			return departure{change: c, told: before.told, several: known && (before.several || before.change.AoR != c.AoR)}
		})
	}
}

// suspect returns the phone that a fault from an address is to be put down to, at most once in a while.
func (d departures) suspect(a netip.Addr, now time.Time) (was telephony.RegistrationChange, ok bool) {
	if _, known := d.by.Find(a); !known { // strangers leave nothing here
		return was, false
	}
	d.by.Update(a, func(last departure, _ bool) departure {
		if last.several || now.Sub(last.change.At) > departedFor || now.Sub(last.told) < faultPause {
			return last
		}
		was, ok = last.change, true
		last.told = now
		return last
	})
	return was, ok
}

// HandshakeFailed tells the timeline of a user that a TLS handshake failed. Nobody has said who they are by then: it is put
// down to the one user whose phone was registered from that very address within a day and is not any more, and told as a
// likelihood. Where phones of several users are or were, as behind an office's NAT, nobody is told. Fault says what failed
// and what to do.
func (r *Registrar) HandshakeFailed(f telephony.Flow, fault string) {
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
	r.Each(func(b registration.Binding) {
		if b.Flow.Remote.Addr() == a && (b.AoR != aor || b.Reachable && b.Flow.Transport.Secure()) {
			found = true
		}
	})
	return found
}
