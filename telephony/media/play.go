package media

import (
	"time"

	"demarc/telephony"
	"demarc/telephony/audio"
	"demarc/telephony/rtp"
)

// frameTime is the time between two packets of our own.
const frameTime = 20 * time.Millisecond

// player is a sound that a stream hears.
type player struct {
	samples []int16
	at      int
	loop    bool
}

// next returns the next frame of the sound; false when it has come to its end.
func (p *player) next(frame *[audio.Frame]int16) bool {
	if p.at >= len(p.samples) {
		return false
	}
	for i := range frame {
		if p.at >= len(p.samples) {
			if !p.loop {
				clear(frame[i:])
				return true
			}
			p.at = 0
		}
		frame[i] = p.samples[p.at]
		p.at++
	}
	if p.loop && p.at >= len(p.samples) {
		p.at = 0
	}
	return true
}

// sounds is what a loop plays and mixes.
type sounds struct {
	players map[*stream]struct{}
	rooms   map[*room]struct{}
	beat    time.Duration // when the next frame of them is due
}

func newSounds() sounds { return sounds{players: map[*stream]struct{}{}, rooms: map[*room]struct{}{}} }

func (s *sounds) any() bool { return len(s.players)+len(s.rooms) > 0 }

// beats sends the frames that are due. After a stop of the machine those that were missed are left out.
func (l *loop) beats() {
	for n := 0; l.sounds.any() && l.clock.now >= l.sounds.beat; n++ {
		if n == 5 {
			l.sounds.beat = l.clock.now
		}
		for s := range l.sounds.players {
			l.play(s)
		}
		for r := range l.sounds.rooms {
			l.mix(r)
		}
		l.sounds.beat += frameTime
	}
}

// clockwork begins the frames, when nothing was played or mixed before.
func (l *loop) clockwork() {
	if len(l.sounds.players)+len(l.sounds.rooms) == 1 {
		l.sounds.beat = l.clock.since()
		l.poller.rouse()
	}
}

func (l *loop) play(s *stream) {
	if !s.terms.sends {
		return // the sound waits
	}
	if !s.path.player.next(&l.scratch.frame) {
		l.silence(s)
		l.tell(telephony.MediaEvent{ID: s.leg.id, Kind: telephony.PlayEnded})
		return
	}
	l.speak(s, &l.scratch.frame)
}

// speak sends a frame of our own to a stream, when its codec is G.711; other phones hear silence.
func (l *loop) speak(s *stream, frame *[audio.Frame]int16) {
	law, ok := audio.LawNamed(s.as.Codec.Name)
	if !ok || !s.terms.sends {
		return
	}
	l.scratch.coded = law.Encode(l.scratch.coded[:0], frame[:])
	b := rtp.Packet(rtp.Append(l.scratch.in[:0], s.as.Send, false, l.scratch.coded))
	s.out.Next(b, audio.Frame, l.clock.now, audio.Rate)
	l.transmit(s, b)
}

// start lets a stream hear a sound; silence ends that.
func (l *loop) start(s *stream, samples []int16, repeat bool) {
	s.out.Break()
	s.path.player = &player{samples: samples, loop: repeat}
	l.sounds.players[s] = struct{}{}
	l.clockwork()
}

func (l *loop) silence(s *stream) {
	s.path.player = nil
	delete(l.sounds.players, s)
}
