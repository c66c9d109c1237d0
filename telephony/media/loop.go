package media

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"demarc/telephony"
	"demarc/telephony/audio"
	"demarc/telephony/rtp"
)

// tick is how long a loop gathers packets before it works them off. Each wake-up costs as much as a packet, and with some hundred
// calls a wake-up for each packet is most of what relaying costs. A packet is late by half of it on the average.
const tick = 2 * time.Millisecond

// rounds is how often a loop asks for packets before it naps all the same.
const rounds = 16

// loop reads the sockets of its legs.
type loop struct {
	mu      sync.Mutex // guards all but the waiting itself
	ports   *pool
	poller  poller
	clock   clock
	legs    map[telephony.MediaID]*leg
	warm    warm
	sounds  sounds
	events  []telephony.MediaEvent // to tell when the lock is free
	timeout time.Duration
	name    string // CNAME
	scratch *scratch
	tally   tally
	serving context.Context                 // of run
	shake   func(context.Context, *session) // does a handshake in a goroutine of its own
	stopped bool

	carries atomic.Int32 // legs; read without the lock, for which who looks for the idlest loop would wait
}

// clock is the time of a loop. All loops of a node count from the same moment, because legs move between them; 0 stands for never.
type clock struct {
	begun   time.Time
	now     time.Duration // of this round
	due     time.Duration // of the next second
	seconds uint64
}

func (c *clock) since() time.Duration { return time.Since(c.begun) }

// scratch is what every packet of the loop is read into and written from.
type scratch struct {
	in, out [rtp.MaxPacket + rtp.Overhead]byte
	report  [256]byte
	frame   [audio.Frame]int16
	coded   []byte
	samples []int16
	from    sockaddr
}

func newLoop(begun time.Time, timeout time.Duration, name string, ports *pool) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("media loop: %w", err)
	}
	return &loop{
		poller: p, clock: clock{begun: begun, now: time.Since(begun)}, legs: map[telephony.MediaID]*leg{}, sounds: newSounds(),
		timeout: timeout, name: name, ports: ports, scratch: &scratch{},
	}, nil
}

// run works until the context ends, and closes what is open then.
func (l *loop) run(ctx context.Context, tell func(telephony.MediaEvent)) {
	l.mu.Lock()
	l.serving = ctx
	l.mu.Unlock()
	stop := context.AfterFunc(ctx, l.rouse)
	defer stop()
	for ctx.Err() == nil {
		l.wait(tell)
	}
	l.close()
}

// rouse ends a wait. The lock keeps it from a loop that has ended, whose descriptor may be another file's by now.
func (l *loop) rouse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.poller.rouse()
	}
}

// wait waits for packets, works them off, and naps when there were some.
func (l *loop) wait(tell func(telephony.MediaEvent)) {
	timeout := l.untilDue()
	for round := range rounds {
		n := l.poller.wait(timeout)
		for _, e := range l.round(n) {
			tell(e)
		}
		if n == 0 {
			if round > 0 {
				nap(tick)
			}
			return
		}
		timeout = 0
	}
}

// untilDue is how long the loop may wait for packets.
func (l *loop) untilDue() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	due := l.clock.due
	if l.sounds.any() {
		due = min(due, l.sounds.beat)
	}
	return max(0, due-l.clock.since())
}

// round works off what n sockets have, one packet each, and what is due by the clock.
func (l *loop) round(n int) []telephony.MediaEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock.now = l.clock.since()
	for _, slot := range l.poller.ready[:n] {
		if k := l.poller.socket(slot.Fd); k != nil {
			l.read(k)
		}
	}
	l.beats()
	if l.clock.now >= l.clock.due {
		l.clock.due = l.clock.now + time.Second
		l.second(time.Now())
	}
	events := l.events
	l.events = nil
	return events
}

// read takes one packet from a socket. The slot may be another's than the one that was ready: then there is nothing to read.
func (l *loop) read(k *socket) {
	name := &l.scratch.from
	if k.age >= grown {
		name = nil
	}
	n, errno := receive(k.fd, l.scratch.in[:rtp.MaxPacket], name)
	if errno != 0 {
		return // nothing there, or word that our last packet met a closed port
	}
	if k.stream == nil {
		return // of a leg that has ended
	}
	from := k.connected
	if name != nil {
		from = name.get()
	}
	if n > rtp.MaxPacket {
		k.stream.refuse(malformed, from)
		return
	}
	l.datagram(k, l.scratch.in[:n], from)
}

func (l *loop) tell(e telephony.MediaEvent) { l.events = append(l.events, e) }

// adopt takes a leg whose sockets no other loop reads. From now on what comes to them is the leg's.
func (l *loop) adopt(g *leg) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return ErrStopped
	}
	var added []*socket
	g.sockets(func(k *socket) {
		if err == nil && !l.poller.has(k) {
			if err = l.poller.add(k); err == nil {
				added = append(added, k)
			}
		}
	})
	if err != nil {
		for _, k := range added {
			l.poller.release(k)
		}
		return err
	}
	l.serve(g)
	return nil
}

// serve begins to serve a leg whose sockets the loop reads.
func (l *loop) serve(g *leg) {
	g.streams(func(s *stream) { s.media.stream, s.control.stream = s, s })
	g.loop, l.legs[g.id] = l, g
	l.carries.Add(1)
}

// forget is done with a leg.
func (l *loop) forget(g *leg) {
	delete(l.legs, g.id)
	l.carries.Add(-1)
}

// dismiss closes the ports, if there are any, of a line that no leg of the loop has.
func (l *loop) dismiss(s *stream) {
	if s.media == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range [...]*socket{s.media, s.control} {
		if l.poller.has(k) {
			l.poller.drop(k)
		} else {
			k.close()
		}
	}
	l.ports.give(s.media.port)
}

// leave lets go of a leg, whose clock goes on as that of this loop; false when it is not here any more.
func (l *loop) leave(g *leg) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.legs[g.id] != g {
		return false
	}
	l.forget(g)
	g.part()
	g.sockets(l.poller.release)
	return true
}

func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.legs {
		g.streams((*stream).end)
	}
	clear(l.legs)
	l.warm = warm{}
	l.poller.close()
	l.stopped = true
}
