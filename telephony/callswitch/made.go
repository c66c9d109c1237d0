package callswitch

import (
	"net/netip"

	"demarc/telephony"
	"demarc/telephony/signal"
)

// made is what a leg makes of its state for what it sends, once: each with that of which it was made. It is no part of the state.
// Who sends keeps lists for a while, so that none is ever written to.
type made struct {
	from, to, toTag string
	ways            []signal.Way
	headers         []telephony.Header
	remote          netip.AddrPort
	remoteText      string
}

// from and to are From and To of a request of ours.
func (l *Leg) from() string {
	if l.made.from == "" {
		l.made.from = l.Dialog.Local + ";tag=" + l.Dialog.LocalTag
	}
	return l.made.from
}

func (l *Leg) to() string {
	tag := l.Dialog.RemoteTag
	if tag == "" {
		return l.Dialog.Remote
	}
	if l.made.toTag != tag {
		l.made.to, l.made.toTag = l.Dialog.Remote+";tag="+tag, tag
	}
	return l.made.to
}

// ways are all ways of a phone until it has responded, then the one that it uses.
func (l *Leg) ways() []signal.Way {
	if len(l.Ways) > 0 {
		return l.Ways
	}
	if len(l.made.ways) == 0 || l.made.ways[0] != l.Way {
		l.made.ways = []signal.Way{l.Way}
	}
	return l.made.ways
}

// responded has only one way left, that of the response, which is the first one nearly always.
func (l *Leg) responded() {
	if len(l.Ways) > 0 {
		l.made.ways, l.Ways = l.Ways[:1:1], nil
	}
}

// dialogHeaders are what every request and response that makes or keeps a dialog tells. Whoever appends to them gets a copy.
func (l *Leg) dialogHeaders() []telephony.Header {
	if l.made.headers == nil {
		l.made.headers = []telephony.Header{{Name: "Contact", Value: "<" + l.Dialog.Contact + ">"}, {Name: "Allow", Value: allowed},
			{Name: "Supported", Value: supported}}
	}
	return l.made.headers
}

// formingHeaders are those of a response that forms a dialog: a proxy that recorded itself must stand in the caller's
// route too (RFC 3261 §12.1.1).
func (l *Leg) formingHeaders() []telephony.Header {
	headers := l.dialogHeaders()
	for _, r := range l.Dialog.Routes {
		headers = append(headers, telephony.Header{Name: "Record-Route", Value: r})
	}
	return headers
}

// remoteText is where the phone is, for people.
func (l *Leg) remoteText() string {
	if at := l.Way.Flow.Remote; l.made.remote != at {
		l.made.remote, l.made.remoteText = at, l.Way.Flow.RemoteText()
	}
	return l.made.remoteText
}
