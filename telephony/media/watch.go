package media

import (
	"fmt"
	"time"

	"demarc/telephony"
)

// oneWayAfter is how long after an answer a leg may be silent while the other one is heard.
const oneWayAfter = 5 * time.Second

// second looks after the loop's legs once a second.
func (l *loop) second(wall time.Time) {
	l.clock.seconds++
	l.coolDown()
	for id, g := range l.legs {
		g.streams(func(s *stream) {
			digit, ok := s.digits.Lapse(l.clock.now)
			l.digit(s, digit, ok)
			if (l.clock.seconds+uint64(id))%reportEvery == 0 || !s.terms.reported {
				l.report(s, wall)
			}
			l.ripen(s.media)
			l.ripen(s.control)
			l.initiate(s)
			s.checks.lapse(l.clock.now)
			s.left, s.asks = s.most(), mostAsks
		})
		l.watch(g)
	}
}

// digit tells that one was heard.
func (l *loop) digit(s *stream, digit byte, ok bool) {
	if ok {
		l.tell(telephony.MediaEvent{ID: s.leg.id, Kind: telephony.DigitHeard, Digit: digit})
	}
}

// ripen ages a connected socket, and lets a phone that proves who it is be found elsewhere after a second of silence.
func (l *loop) ripen(k *socket) {
	if k.linked && k.age < grown {
		k.age++
	}
	if k.linked && !k.stream.terms.plain && l.clock.now-k.stream.heard > time.Second {
		k.settle(false)
	}
}

// watch tells when a leg has gone silent that should be heard: one that both sends and receives. It is told again after as long.
func (l *loop) watch(g *leg) {
	if !g.audio.talks() {
		return
	}
	silent := l.clock.now - g.audio.heard
	if silent >= l.timeout && l.clock.now-g.told.stopped >= l.timeout {
		g.told.stopped = l.clock.now
		l.tally.stopped++
		l.tell(telephony.MediaEvent{ID: g.id, Kind: telephony.MediaStopped, After: l.timeout, Text: fmt.Sprintf("Nothing for %s.", silent.Round(time.Second))})
	}
	if silent < oneWayAfter { // what was refused before that is not why
		g.audio.refused.media = 0
	}
	other := g.partner()
	if silent >= oneWayAfter && !g.told.oneWay && other != nil && other.audio.talks() && l.clock.now-other.audio.heard < time.Second {
		g.told.oneWay = true
		cause, text := g.audio.silence()
		l.tally.oneWay[cause]++
		l.tell(telephony.MediaEvent{ID: g.id, Kind: telephony.MediaOneWay, Text: text})
	}
}

func (s *stream) talks() bool { return s.terms.sends && s.terms.receives }

// silence says why a phone is not heard.
func (s *stream) silence() (mute, string) {
	switch {
	case s.refused.media == 0:
		return silent, "nothing comes from the phone: look at its firewall and at the address that it is told"
	case s.terms.plain:
		return misplaced, fmt.Sprintf("%d packets were refused: they come from %s, and not from %s as its SDP says",
			s.refused.media, s.refused.from, s.media.place.told)
	}
	return undeciphered, fmt.Sprintf("%d packets were refused: they are not protected with the key of its SDP, the last from %s", s.refused.media, s.refused.from)
}
