package gateway

import (
	"slices"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
)

// offers says which digest algorithms are offered by realm and listener: the realm's own, else the listener's, else
// all's. For browsers it is the listener's own or MD5, whatever the realm's: their SIP libraries know no other and give up.
func (g *Gateway) offers() authentication.Offers {
	std := algorithms(g.cfg.Telephony.Algorithms)
	byListener, byRealm := map[string][]digest.Algorithm{}, map[string][]digest.Algorithm{}
	browsers := map[string][]digest.Algorithm{}
	for _, l := range g.cfg.Telephony.Listeners {
		if len(l.Algorithms) > 0 {
			byListener[l.Name] = algorithms(l.Algorithms)
		}
		if l.Transport == string(telephony.WS) || l.Transport == string(telephony.WSS) {
			browsers[l.Name] = []digest.Algorithm{digest.MD5}
			if len(l.Algorithms) > 0 {
				browsers[l.Name] = byListener[l.Name]
			}
		}
	}
	for _, r := range g.cfg.Telephony.RealmOffers {
		byRealm[r.Realm] = algorithms(r.Algorithms)
	}
	return func(realm, listener string) []digest.Algorithm {
		if own, ok := browsers[listener]; ok {
			return own
		}
		if own, ok := byRealm[realm]; ok {
			return own
		}
		if own, ok := byListener[listener]; ok {
			return own
		}
		return std
	}
}

// offered returns every algorithm that is offered anywhere.
func (g *Gateway) offered() []digest.Algorithm {
	all := append(algorithms(g.cfg.Telephony.Algorithms), digest.MD5) // for browsers, and where nothing is set
	for _, l := range g.cfg.Telephony.Listeners {
		all = append(all, algorithms(l.Algorithms)...)
	}
	for _, r := range g.cfg.Telephony.RealmOffers {
		all = append(all, algorithms(r.Algorithms)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func algorithms(names []string) []digest.Algorithm {
	all := make([]digest.Algorithm, len(names))
	for i, name := range names {
		all[i] = digest.Algorithm(name) // validated with the configuration
	}
	return all
}
