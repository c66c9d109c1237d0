package callswitch

import (
	"slices"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
)

// reconcile makes media and descriptions follow who talks with whom: after every step each leg is compared with what is
// wanted of it, so that no rule has to think of hold, transfer and conference at once.
func (t *turn) reconcile() {
	if t.State >= states.Closing {
		return
	}
	group := t.group()
	t.paths(group)
	for _, l := range t.Legs {
		if l.open() && l.Part.Aside { // who transfers does not listen in
			t.hear(l, Hears{})
		}
	}
	for _, l := range group {
		if t.State >= states.Closing {
			return
		}
		if l.Part.Into.Call != "" && !l.Part.Moving {
			t.release(l)
			continue
		}
		if l.idle() && l.Invite.Retry.IsZero() && !l.Part.Moving {
			t.adjust(l, t.aim(l, group))
		}
	}
}

// group are the legs, until it is called again, that talk with each other: those that are answered, or who calls and the phone whose early media he
// hears.
func (t *turn) group() []*Leg {
	group := t.few[:0]
	for _, l := range t.Legs {
		if l.talks() || l.open() && l.Session.State == states.Stable && l.State == states.Early && (l.Session.Early || !l.Ours) {
			group = append(group, l)
		}
	}
	t.few = group
	return group
}

// aim is what is wanted of a leg's media.
func (t *turn) aim(l *Leg, group []*Leg) Aim {
	switch len(group) {
	case 1:
		return Aim{Direction: sdp.SendOnly, Music: true}
	case 2:
		other := group[0]
		if other == l {
			other = group[1]
		}
		if other.Session.Holds {
			return Aim{Direction: sdp.SendOnly, Music: true}
		}
		return Aim{Direction: sdp.SendRecv, Codec: t.codecToward(l, other)}
	}
	return Aim{Direction: sdp.SendRecv, Music: true}
}

// codecToward is the codec that the leg is to change to so that both have the same; empty when it is for the other one to
// change, or nothing is to be changed. Who was only asked for music changes back; else who was there first follows who
// came, for that one was offered the codec and has declined it.
func (t *turn) codecToward(l, other *Leg) string {
	if l.sounds(other) || !l.Session.Side.Agreed.Stands() || !other.Session.Side.Agreed.Stands() || l.Session.Holds {
		return ""
	}
	mine, its := l.codec(), other.codec()
	first := l.ID < other.ID
	if l.Session.Borrows != other.Session.Borrows {
		first = l.Session.Borrows
	}
	if other.Session.Holds {
		first = true
	}
	mineRefused, itsRefused := l.Session.Refused == its, other.Session.Refused == mine
	switch {
	case mineRefused && itsRefused:
		t.close(telephony.Cause{Who: telephony.Switch, Code: 488, Text: "The phones have no codec in common: " + mine + " and " + its + "."})
		return ""
	case mineRefused:
		return ""
	case first || itsRefused:
		return its
	}
	return ""
}

// adjust sends a re-INVITE when the leg is not as it should be. A direction that the phone itself has narrowed is its own
// business: only what we last allowed is compared.
func (t *turn) adjust(l *Leg, aim Aim) {
	if t.State >= states.Closing {
		return
	}
	needsCodec := aim.Codec != "" && aim.Codec != l.codec()
	needsMusic := aim.Music && !l.writable() && !l.Session.Deaf
	if aim.Direction == l.Session.Aim.Direction && !needsCodec && !needsMusic {
		l.heard()
		return
	}
	codecs := []sdp.Codec{l.Session.Side.Agreed.Audio.Codec}
	switch {
	case needsCodec:
		codecs = t.named(aim.Codec)
	case needsMusic:
		codecs = sdp.Music()
	}
	body, err := t.offer(l, aim, codecs)
	if err != nil {
		return
	}
	t.reinvite(l, body)
}

// named returns the codec with that name as a leg of the call has it.
func (t *turn) named(name string) []sdp.Codec {
	for _, l := range t.Legs {
		if l.Session.Side.Agreed.Stands() && codecName(l.Session.Side.Agreed.Audio.Codec) == name {
			return []sdp.Codec{l.Session.Side.Agreed.Audio.Codec}
		}
	}
	return sdp.Passed()
}

// paths tells the media what each leg hears, where that has changed.
func (t *turn) paths(group []*Leg) {
	if len(group) == 2 {
		a, b := group[0], group[1]
		if a.sounds(b) && !a.Session.Holds && !b.Session.Holds {
			t.relay(a, b)
			return
		}
	}
	var mixed uint64
	if len(group) > 2 {
		for _, l := range group {
			if l.writable() {
				mixed |= 1 << (l.ID % 64)
			}
		}
	}
	var mix []telephony.MediaID
	changed := false
	for _, l := range group {
		if len(group) > 2 && l.remains(group) {
			continue
		}
		want := t.hears(l, group, mixed)
		if want.Kind == HearsMix {
			mix = append(mix, l.Session.Media)
			changed = changed || l.Session.Hears != want
			l.Session.Hears = want
			continue
		}
		t.hear(l, want)
	}
	if changed {
		t.do(Mix{Media: mix})
	}
}

// remains reports whether the leg goes on hearing the one that it hears, because neither has a codec that can be mixed: until
// a phone has agreed to one, two who talked with each other still do.
func (l *Leg) remains(group []*Leg) bool {
	if l.writable() || l.Session.Hears.Kind != HearsOther {
		return false
	}
	return slices.ContainsFunc(group, func(o *Leg) bool {
		return uint64(o.Session.Media) == l.Session.Hears.With && !o.writable() && l.sounds(o) &&
			o.Session.Hears == Hears{Kind: HearsOther, With: uint64(l.Session.Media)}
	})
}

func (t *turn) relay(a, b *Leg) {
	forA := Hears{Kind: HearsOther, With: uint64(b.Session.Media)}
	forB := Hears{Kind: HearsOther, With: uint64(a.Session.Media)}
	if a.Session.Hears != forA || b.Session.Hears != forB {
		a.Session.Hears, b.Session.Hears = forA, forB
		t.do(Relay{A: a.Session.Media, B: b.Session.Media})
	}
}

// hears is what a leg is to hear when it does not simply hear one other leg.
func (t *turn) hears(l *Leg, group []*Leg, mixed uint64) Hears {
	if !l.Session.Side.Agreed.Stands() || !l.writable() {
		return Hears{}
	}
	if len(group) > 2 {
		return Hears{Kind: HearsMix, With: mixed}
	}
	held := len(group) == 1 || slices.ContainsFunc(group, func(o *Leg) bool { return o != l && o.Session.Holds })
	if held && l.State != states.Early {
		return Hears{Kind: HearsMusic}
	}
	return Hears{}
}

func (t *turn) hear(l *Leg, want Hears) {
	if l.Session.Hears == want || l.Session.Media == 0 {
		return
	}
	l.Session.Hears = want
	if want.Kind == HearsMusic {
		t.do(Play{Media: l.Session.Media})
	} else {
		t.do(Hush{Media: l.Session.Media})
	}
}
