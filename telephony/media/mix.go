package media

import (
	"demarc/telephony/audio"
	"demarc/telephony/rtp"
)

// room is streams that all hear each other.
type room struct{ members []*member }

// member is a stream in a room.
type member struct {
	stream *stream
	ear    audio.Ear
	frame  [audio.Frame]int16
	said   bool // something in this frame
}

// enter puts a stream into a room.
func (l *loop) enter(r *room, s *stream) {
	s.out.Break()
	s.path.member = &member{stream: s}
	s.path.room = r
	r.members = append(r.members, s.path.member)
	l.sounds.rooms[r] = struct{}{}
	l.clockwork()
}

// leaveRoom takes a stream out of its room, which ends with the last one.
func (l *loop) leaveRoom(s *stream) {
	r := s.path.room
	for i, m := range r.members {
		if m.stream == s {
			r.members = append(r.members[:i], r.members[i+1:]...)
			break
		}
	}
	if len(r.members) == 0 {
		delete(l.sounds.rooms, r)
	}
	s.path.room, s.path.member = nil, nil
}

// listen takes what a member says into its ear.
func (l *loop) listen(s *stream, p rtp.Packet) {
	law, ok := audio.LawNamed(s.as.Codec.Name)
	if !ok {
		return
	}
	l.scratch.samples = law.Decode(l.scratch.samples[:0], p.Payload())
	s.path.member.ear.Put(p.Timestamp(), l.scratch.samples)
}

// mix sends every member what the others say.
func (l *loop) mix(r *room) {
	var sum audio.Mix
	for _, m := range r.members {
		if m.said = m.ear.Take(&m.frame); m.said {
			sum.Add(&m.frame)
		}
	}
	for _, m := range r.members {
		own := &m.frame
		if !m.said {
			own = nil
		}
		sum.Without(own, &l.scratch.frame)
		l.speak(m.stream, &l.scratch.frame)
	}
}
