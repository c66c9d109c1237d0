package edge

import (
	"net/netip"

	"demarc/internal/bounded"
	"demarc/telephony"
)

// pair is the two addresses that the datagrams of a flow go between. Where the listener has one address, ours is zero.
type pair struct {
	remote netip.AddrPort
	local  netip.Addr
}

// pair returns the addresses of a flow. Which of ours it was is not known of a proxy that we write to first, nor of a phone that was
// saved by a release or a listener that did not note it: then it is the one that the way there leads from.
func (s *socket) pair(f telephony.Flow) pair {
	p := pair{remote: unmapped(f.Remote)}
	if s.everywhere {
		p.local = s.edge.own(f)
	}
	return p
}

// remotes is the flow table of a socket, bounded twice, so that a flood of strangers cannot push out the remotes that
// authenticated.
type remotes struct {
	strangers, known *bounded.Map[pair, *flow]
}

func newRemotes(limit int) remotes {
	return remotes{strangers: bounded.NewMap[pair, *flow](limit / 2), known: bounded.NewMap[pair, *flow](limit / 2)}
}

// find returns the flow between two addresses if there is one, and whether somebody proved who they are on it.
func (r remotes) find(p pair) (f *flow, known bool) {
	if f, ok := r.known.Find(p); ok {
		return f, true
	}
	f, ok := r.strangers.Find(p)
	if ok && f.known.Load() {
		r.known.Set(p, f)
		r.strangers.Remove(p)
		return f, true
	}
	return f, false
}

func (r remotes) of(p pair, create func() *flow) *flow {
	if f, ok := r.find(p); ok {
		return f
	}
	return r.strangers.Use(p, create)
}

// resume takes a remote in that proved who it is before.
func (r remotes) resume(p pair, f *flow) {
	f.prove()
	r.known.Set(p, f)
}

func (r remotes) len() int { return r.strangers.Len() + r.known.Len() }
