package resolver

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"github.com/miekg/dns"
)

// byChance orders SRV records as RFC 2782 says: lower priorities first; among equals each next one is drawn by its
// weight, and one without weight has a small chance.
func byChance(records []*dns.SRV) []*dns.SRV {
	left := slices.Clone(records)
	slices.SortStableFunc(left, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Weight, b.Weight))
	})
	var ordered []*dns.SRV
	for len(left) > 0 {
		i := draw(left)
		ordered = append(ordered, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return ordered
}

// draw picks one of the records that share the first one's priority.
func draw(records []*dns.SRV) int {
	sum, equals := 0, 0
	for equals < len(records) && records[equals].Priority == records[0].Priority {
		sum += int(records[equals].Weight)
		equals++
	}
	drawn := rand.N(sum + 1)
	for i, r := range records[:equals] {
		if drawn -= int(r.Weight); drawn <= 0 {
			return i
		}
	}
	return 0
}
