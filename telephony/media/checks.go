package media

import (
	"net/netip"
	"time"

	"demarc/telephony/rtp"
	"demarc/telephony/sdp"
)

// formerTime is how long checks by the credentials from before a restart of ICE are answered when the phone nominates no pair by the new
// ones: longer than the answer that tells those may take to arrive (64*T1).
const formerTime = 45 * time.Second

// checks is what the ICE checks of a media line are answered by.
type checks struct {
	rtp.Lite
	ends time.Duration // of Former
}

// restart takes over our credentials where ICE was restarted. Until the phone nominates a pair by the new ones, media goes on over the old
// pair, whose checks ask for consent to that (RFC 8445 §9, RFC 7675): those that it was found by stay good, however often it is restarted
// meanwhile.
func (c *checks) restart(as *sdp.Stream, now time.Duration) {
	if as.LocalUfrag == "" || as.LocalUfrag == c.Now.Ufrag {
		return
	}
	if c.Former.Ufrag == "" {
		c.Former = c.Now
	}
	c.Now, c.ends = rtp.Credentials{Ufrag: as.LocalUfrag, Pwd: as.LocalPwd}, now+formerTime
}

// lapse ends what is left from before a restart.
func (c *checks) lapse(now time.Duration) {
	if c.Former.Ufrag != "" && now >= c.ends {
		c.Former = rtp.Credentials{}
	}
}

// check answers an ICE check, and learns from it where the phone is.
func (l *loop) check(k *socket, b []byte, from netip.AddrPort) {
	s := k.stream
	answer, check, ok := s.checks.Answer(l.scratch.out[:0], b, from)
	if !ok {
		s.refuse(unchecked, from)
		return
	}
	if !l.afford(s) {
		return
	}
	nominates := check.Nominates && !check.Former && !check.Refused
	if nominates && !k.control {
		s.checks.Former = rtp.Credentials{}
	}
	if (nominates || !check.Refused && !k.place.found.IsValid()) && k.place.found != from {
		k.place.found = from
		k.settle(s.exclusive())
		k.aim(from)
		l.initiate(s)
	}
	k.sendTo(answer, from)
}
