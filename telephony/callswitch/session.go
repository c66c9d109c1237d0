package callswitch

import (
	"errors"
	"strconv"
	"strings"

	"demarc/telephony"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
)

// offer writes an offer for the leg: audio codecs as they are given, video as the other side has offered it.
func (t *turn) offer(l *Leg, aim Aim, codecs []sdp.Codec) ([]byte, error) {
	state, ok := states.NextOffer(l.Session.State, states.WeOffer)
	if !ok {
		return nil, errors.New("an offer is under way already")
	}
	o := sdp.Offering{Security: l.Session.Security, Direction: aim.Direction, Codecs: codecs,
		Either: !l.Session.Side.Agreed.Stands() && l.Session.Terms.Setting == ""}
	if l.Session.Side.Local.Video.RTP != 0 {
		o.Video = t.videoFor(l)
	}
	body, says, err := l.Session.Side.Offer(o)
	if err != nil {
		return nil, err
	}
	l.Session.Side.Last, l.Session.Offered, l.Session.State, l.Session.Was, l.Session.Aim = body, says, state, l.Session.Aim, aim
	return body, nil
}

// received takes an offer of the phone.
func (t *turn) received(l *Leg, body []byte) *Refusal {
	state, ok := states.NextOffer(l.Session.State, states.TheyOffer)
	if !ok {
		return refusal(500, l.side(), "A second offer came before the first was answered.")
	}
	d, err := sdp.Parse(body)
	if err != nil {
		return refusal(400, l.side(), err.Error())
	}
	security, err := l.Session.Terms.Accepts(d)
	if err != nil {
		return refusal(488, telephony.Switch, err.Error())
	}
	l.Session.State, l.Session.Security = state, security
	l.Invite.Offered = true
	l.Session.Offer, l.Session.Wrote[1] = d, body
	l.Session.Holds = d.Holds()
	return nil
}

// completed keeps what the phone wrote in an offer and answer that is done.
func (l *Leg) completed(theirs *sdp.Description, body []byte) {
	l.Session.Side.Theirs, l.Session.Wrote[0] = theirs, body
	l.Session.Offer, l.Session.Wrote[1], l.Session.Offered = nil, nil, nil
}

// offered is what we offered last: as it was written, or else as it reads.
func (l *Leg) offered() (*sdp.Description, error) {
	if l.Session.Offered != nil {
		return l.Session.Offered, nil
	}
	return sdp.Parse(l.Session.Side.Last)
}

// theirs is what the phone wrote last.
func (l *Leg) theirs() *sdp.Description {
	if l.Session.Offer != nil {
		return l.Session.Offer
	}
	return l.Session.Side.Theirs
}

// answerWith answers a leg's offer with the codec that the other leg has agreed; the same again when that was done.
func (t *turn) answerWith(l, other *Leg) ([]byte, *Refusal) {
	if l.Session.State == states.Stable {
		return l.Session.Side.Last, nil
	}
	var w sdp.Wanted
	if agreed := &other.Session.Side.Agreed; !agreed.Stands() {
		w.Codecs = t.codecs(other)
	} else {
		t.common = append(t.common[:0], agreed.Audio.Codec)
		w.Codecs = t.common
		if agreed.Video.Codec.Name != "" {
			w.Video = []sdp.Codec{agreed.Video.Codec}
		}
		w.Ptime = agreed.Audio.Ptime
		if offered := l.Session.Offer.Audio(); offered != nil && !offered.Offers(agreed.Audio.Codec) {
			// Who takes a call over, or joins it, may know another one of the other phone, which follows.
			if known := keep(offered.Codecs, "", t.codecs(other)); known != nil {
				w.Codecs = known
			}
		}
	}
	aim := Aim{Direction: sdp.SendRecv}
	if other.Session.Holds {
		aim.Direction = sdp.SendOnly
	}
	return t.answer(l, aim, w)
}

// answer answers the leg's offer, and tells the media.
func (t *turn) answer(l *Leg, aim Aim, w sdp.Wanted) ([]byte, *Refusal) {
	state, ok := states.NextOffer(l.Session.State, states.WeAnswer)
	if !ok {
		return nil, refusal(500, telephony.Switch, "There is no offer to be answered.")
	}
	w.Direction = aim.Direction
	body, agreed, err := l.Session.Side.Answer(l.Session.Terms, l.Session.Offer, w)
	if err != nil {
		return nil, refusal(488, telephony.Switch, err.Error())
	}
	l.Session.Side.Last, l.Session.State, l.Session.Aim = body, state, aim
	l.completed(l.Session.Offer, l.Session.Wrote[1])
	t.agree(l, agreed)
	return body, nil
}

// offerWith writes the offer of a 2xx to an INVITE that had none: what the other leg has agreed.
func (t *turn) offerWith(l, other *Leg) ([]byte, *Refusal) {
	l.Session.Security = l.Session.Terms.Security()
	codecs := sdp.Passed()
	if agreed := &other.Session.Side.Agreed; agreed.Stands() {
		codecs = []sdp.Codec{agreed.Audio.Codec}
	}
	body, err := t.offer(l, Aim{Direction: sdp.SendRecv}, codecs)
	if err != nil {
		return nil, refusal(488, telephony.Switch, err.Error())
	}
	return body, nil
}

// settled takes the phone's answer to our offer.
func (t *turn) settled(l *Leg, body []byte) *Refusal {
	state, ok := states.NextOffer(l.Session.State, states.TheyAnswer)
	if !ok {
		return nil
	}
	if len(body) == 0 {
		return refusal(488, l.side(), "The phone answered without saying where its sound goes.")
	}
	theirs, err := sdp.Parse(body)
	if err != nil {
		return refusal(488, l.side(), err.Error())
	}
	ours, err := l.offered()
	if err != nil {
		return refusal(500, telephony.Switch, err.Error())
	}
	agreed, err := sdp.Settle(ours, theirs)
	if err != nil {
		return refusal(488, l.side(), err.Error())
	}
	l.completed(theirs, body)
	if agreed.Security != l.Session.Security {
		l.Invite.Changed, l.Session.Security = true, agreed.Security
	}
	l.Session.State = state
	t.agree(l, agreed)
	return nil
}

// agree keeps what offer and answer have settled, and tells the media.
func (t *turn) agree(l *Leg, agreed sdp.Agreed) {
	agreed.Signalled = l.Way.Flow.Remote.Addr()
	l.Session.Side.Agree(agreed)
	if l.Session.Media != 0 {
		t.do(t.spare.agrees.put(Agree{Leg: l.ID, Media: l.Session.Media, Agreed: &l.Session.Side.Agreed}))
	}
}

// offerRefused goes back to what was agreed before.
func (t *turn) offerRefused(l *Leg) {
	l.Session.State, _ = states.NextOffer(l.Session.State, states.OfferRefused)
	l.Session.Offer, l.Session.Wrote[1], l.Session.Offered = nil, nil, nil
}

// codecsFor are the codecs to offer to a phone that is called: those of who waits for it, the one in use first.
func (t *turn) codecsFor(l *Leg) []sdp.Codec {
	f := t.Leg(t.Attempt.For)
	if f == nil {
		return sdp.Passed()
	}
	return t.codecs(f)
}

// codecs are what the leg's phone can do, the codec in use first, until it is called again.
func (t *turn) codecs(l *Leg) []sdp.Codec {
	audio := l.theirs().Audio()
	if audio == nil {
		return sdp.Passed()
	}
	all := t.common[:0]
	if inUse := &l.Session.Side.Agreed.Audio.Codec; inUse.Name != "" {
		all = append(all, *inUse)
	}
	all = sdp.AppendCommon(all, audio.Codecs)
	t.common = all
	return all
}

// videoFor is the video to offer to a leg: what the other one has.
func (t *turn) videoFor(l *Leg) []sdp.Codec {
	for _, other := range t.Legs {
		if other == l || !other.open() || (!other.talks() && (t.Attempt == nil || other.ID != t.Attempt.For)) {
			continue
		}
		if video := other.theirs().Video(); video != nil {
			return video.Codecs
		}
	}
	return nil
}

// offeredVideo reports whether who waits for an answer has offered video.
func (t *turn) offeredVideo() bool {
	f := t.Leg(t.Attempt.For)
	return f != nil && f.Session.Side.Local.Video.RTP != 0 && f.theirs().Video() != nil
}

// codecName is how codecs are compared: their numbers mean nothing beyond a leg.
func codecName(c sdp.Codec) string {
	return strings.ToLower(c.Name) + "/" + strconv.Itoa(c.Rate) + "/" + strconv.Itoa(max(c.Channels, 1))
}

// codec is the one in use on the leg.
func (l *Leg) codec() string {
	if !l.Session.Side.Agreed.Stands() {
		return ""
	}
	return codecName(l.Session.Side.Agreed.Audio.Codec)
}

// sounds reports whether the leg and another one use the same codec.
func (l *Leg) sounds(other *Leg) bool {
	mine, its := &l.Session.Side.Agreed, &other.Session.Side.Agreed
	return mine.Stands() && its.Stands() && mine.Audio.Codec.Same(&its.Audio.Codec)
}

// writable reports whether announcements and mixes can be written for the leg.
func (l *Leg) writable() bool {
	name := l.codec()
	for _, c := range sdp.Music() {
		if codecName(c) == name {
			return true
		}
	}
	return false
}

func refusal(code int, who telephony.Who, text string) *Refusal {
	return &Refusal{Cause: telephony.Cause{Who: who, Code: code, Text: text}}
}
