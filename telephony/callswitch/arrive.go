package callswitch

import (
	"strings"
	"time"

	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Limits of RFC 4028, in seconds: what we ask for, and the least that we accept (§5).
const (
	sessionExpires = 1800
	minSE          = 90
)

// longestExpires is the longest Expires of an INVITE that is kept, in seconds: our own limits are far below it.
const longestExpires = 24 * 3600

// longestAddress is the longest address that is called, in bytes. It stands in history and in timelines as often as the call fails.
const longestAddress = 1024

// toBeTold is what history says of a called address: one that is too long to be called is cut.
func toBeTold(uri string) string {
	if len(uri) <= longestAddress {
		return uri
	}
	return strings.ToValidUTF8(uri[:longestAddress/8], "") + "…"
}

// arrive begins a call with its first INVITE.
func (t *turn) arrive(r *signal.Request) {
	l := t.called(r)
	t.Times.Started = t.at
	depth, _ := number(r.Header(depthHeader))
	t.Asked = Asked{Caller: r.User, Name: displayName(r.From), Dialled: toBeTold(r.URI), Depth: depth,
		Hops: min(r.Hops, 70) - 1, Headers: crossing(r.Headers)}
	t.arrival = r
	audio, video := needed(r)
	t.do(t.spare.prepares.put(Prepare{Leg: l.ID, Media: audio, Video: video, Way: r.Way}))
}

// needed says for which media an INVITE needs ports: for what it offers, and for audio alone where we are to offer. One without audio is
// refused, and takes none.
func needed(r *signal.Request) (audio, video bool) {
	if len(r.Body) == 0 {
		return true, false
	}
	audio, video = sdp.Glance(r.Body)
	return audio, audio && video
}

// called adds the leg of an INVITE that came in.
func (t *turn) called(r *signal.Request) *Leg {
	l := t.add(t.at)
	l.Way, l.Who = r.Way, Person{AoR: r.User, Name: phoneName(r.Header("User-Agent")), Allow: allowOf(&r.Message)}
	l.Invite.Theirs = r.Tx
	l.Invite.Reliable = r.Has("Require", "100rel")
	if seconds, ok := number(r.Header("Expires")); ok && seconds <= longestExpires {
		l.Invite.Expires = t.at.Add(time.Duration(seconds) * time.Second)
	}
	l.Session.Terms.Secure, l.Session.Terms.Browser = r.Secure, r.Browser
	l.Dialog = Dialog{CallID: r.CallID, RemoteTag: r.FromTag, Local: withoutTag(r.To, r.ToTag), Remote: withoutTag(r.From, r.FromTag),
		RemoteSeq: r.CSeq, Routes: r.RecordRoute, Target: target(r)}
	return l
}

// target returns where requests of the dialog go: the Contact, or the From of a phone of RFC 2543, which is known by its
// having no tag.
func target(r *signal.Request) string {
	if r.Contact == "" && r.FromTag == "" {
		return address(r.From)
	}
	return r.Contact
}

// prepared goes on with a leg that has got what it asked for.
func (t *turn) prepared(p *Prepared) {
	l := t.Leg(p.Leg)
	if l == nil || l.Dialog.LocalTag != "" {
		return
	}
	l.Dialog.LocalTag, l.Dialog.Contact = p.Tag, p.Contact
	if p.Refused == nil {
		l.Session.Media, l.Session.Side.Local, l.Session.Side.Session = p.Media, p.Local, p.Session
		l.Session.Terms.Policy, l.Session.Terms.Setting = p.Policy, p.Setting
	}
	switch {
	case l.Ours:
		l.Dialog.CallID = p.CallID
		t.ring(l, p)
	case p.Refused != nil:
		t.refused(l, *p.Refused)
	default:
		r := t.arrival
		t.arrival = nil
		t.admit(l, r)
	}
}

// admit looks at an INVITE whose leg is prepared, and asks where it goes.
func (t *turn) admit(l *Leg, r *signal.Request) {
	if !t.acceptable(l, r) {
		return
	}
	if len(r.Body) > 0 {
		if refusal := t.received(l, r.Body); refusal != nil {
			t.refused(l, *refusal)
			return
		}
		if !l.Session.Terms.Browser { // those do nothing else
			t.learn(l, l.Session.Security)
		}
	}
	if l.Part.Into.Leg != 0 {
		t.stepIn(l)
		return
	}
	t.Attempt = &Attempt{For: l.ID, By: r.User}
	t.ask(Dialled, r.URI, telephony.Cause{})
}

// learn tells how a leg's phone protects media by itself.
func (t *turn) learn(l *Leg, s sdp.Security) {
	t.do(t.spare.learns.put(Learn{Way: l.Way, Security: s}))
}

// acceptable refuses an INVITE that cannot be served whatever it is for.
func (t *turn) acceptable(l *Leg, r *signal.Request) bool {
	refuse := func(code int, text string, headers ...telephony.Header) bool {
		t.refused(l, Refusal{Cause: telephony.Cause{Who: telephony.Switch, Code: code, Text: text}}, headers...)
		return false
	}
	says, bad := unreadable(&r.Message)
	switch unknown := unsupported(r); {
	case r.Hops <= 1: // with the last one the phone would have none, and it may have to go on from there
		return refuse(483, "The call went through too many servers: look for a loop of forwardings.")
	case t.Asked.Depth > maxDepth:
		return refuse(482, "The call came back here again and again: look for a loop of forwardings.")
	case len(r.URI) > longestAddress:
		return refuse(414, "The address is too long to be called: 1024 bytes are the most.")
	case unknown != "":
		return refuse(420, "The phone requires extensions that are not known here: "+unknown+".",
			telephony.Header{Name: "Unsupported", Value: unknown})
	case l.Dialog.Target == "":
		return refuse(400, "The INVITE has no Contact: the phone could not be reached within the call.")
	case !takesSDP(r):
		return refuse(406, "The phone's Accept leaves out session descriptions: a call cannot be answered without one.")
	case bad:
		return refuse(415, notSDP, says)
	}
	if every, byUs, ok := t.timerAsked(l, &r.Message); ok {
		t.timer(l, every, byUs)
		return true
	}
	return refuse(422, "The phone's session interval is too small.", telephony.Header{Name: "Min-SE", Value: "90"})
}

// unsupported returns the required extensions that we do not know.
func unsupported(r *signal.Request) string {
	var unknown []string
	for _, line := range r.Values("Require") {
		for option := range strings.SplitSeq(line, ",") {
			switch option = strings.TrimSpace(option); strings.ToLower(option) {
			case "100rel", "timer", "replaces", "join", "norefersub", "outbound", "":
			default:
				unknown = append(unknown, option)
			}
		}
	}
	return strings.Join(unknown, ", ")
}

// ask has the exchange say where the call goes.
func (t *turn) ask(why Why, dialled string, cause telephony.Cause) {
	a := t.Attempt
	a.Asking = true
	t.do(t.spare.routes.put(Route{Question{Account: t.Account, Call: t.ID, By: a.By, Caller: t.shown(), Dialled: dialled, Last: a.Callee,
		Why: why, Cause: cause, Depth: a.Depth}}))
}

// shown is who is told to be calling: the far end of the leg that is to be connected.
func (t *turn) shown() telephony.AoR {
	if l := t.Leg(t.Attempt.For); l != nil && !l.Who.AoR.IsZero() {
		return l.Who.AoR
	}
	return t.Asked.Caller
}
