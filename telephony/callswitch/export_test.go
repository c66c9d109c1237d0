package callswitch

import "reflect"

// Settle drops what a call keeps beside its state, to be compared with one that was decoded.
func Settle(c *Call) {
	for _, l := range c.Legs {
		l.made = made{}
	}
}

// Left returns what in a Spare is not as new, and how many calls and legs it holds.
func Left(s *Spare) (left []any, calls, legs int) {
	for _, c := range s.calls {
		for _, l := range c.Legs[:cap(c.Legs)] {
			if l != nil {
				left = append(left, l)
			}
		}
		for _, l := range c.few[:cap(c.few)] {
			if l != nil {
				left = append(left, l)
			}
		}
		for _, codec := range c.common[:cap(c.common)] {
			if !reflect.ValueOf(codec).IsZero() {
				left = append(left, codec)
			}
		}
		bare := *c
		bare.Legs, bare.few, bare.common = nil, nil, nil
		if !reflect.ValueOf(bare).IsZero() {
			left = append(left, bare)
		}
	}
	for _, l := range s.legs {
		if !reflect.ValueOf(*l).IsZero() {
			left = append(left, *l)
		}
	}
	left = append(left, dirty(&s.sends)...)
	left = append(left, dirty(&s.replies)...)
	left = append(left, dirty(&s.prepares)...)
	left = append(left, dirty(&s.routes)...)
	left = append(left, dirty(&s.learns)...)
	left = append(left, dirty(&s.agrees)...)
	left = append(left, dirty(&s.closes)...)
	left = append(left, dirty(&s.prepared)...)
	left = append(left, dirty(&s.routed)...)
	left = append(left, dirty(&s.reported)...)
	return left, len(s.calls), len(s.legs)
}

func dirty[T any](p *pile[T]) (all []any) {
	for _, v := range p.all {
		if !reflect.ValueOf(*v).IsZero() {
			all = append(all, *v)
		}
	}
	return all
}
