package media

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"demarc/telephony/rtp"
)

// Opening two ports, having a loop wait for them, and closing them is most of what the media of a short call costs. So a loop keeps
// the pairs of legs that have ended for the next ones.
const (
	// rest is how long a kept pair serves nobody: until then packets of the leg that had it may still be on their way, and the
	// loop throws them away.
	rest = 250 * time.Millisecond
	// spare is how long a pair is kept that nobody takes.
	spare = 5 * time.Second
	// mostWarm bounds the pairs that are kept by all loops: what 8,000 short calls a second need while they rest.
	mostWarm = 4096
	// mostLeft is how many packets a port that is taken may have in its queue; one that is flooded is closed instead.
	mostLeft = 32
)

// warm are the pairs that a loop keeps, the one that has rested longest first. The loop's lock guards it.
type warm struct {
	pairs []restingPair
	taken int // of pairs, at their beginning, is empty
	limit int
	files int // what the numbers of kept files stay below
}

type restingPair struct {
	media, control *socket
	since          time.Duration
}

// warmFiles is half of the files that the process may open. The kernel gives each the lowest number that is free: when those that are
// kept stay below it, the other half is left to connections, whatever else is open.
func warmFiles() int {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil {
		return 0
	}
	return int(min(files.Cur, 1<<30) / 2)
}

func (w *warm) size() int { return len(w.pairs) - w.taken }

// rested reports whether there is a pair that has been kept since then.
func (w *warm) rested(since time.Duration) bool {
	return w.size() > 0 && w.pairs[w.taken].since <= since
}

// room reports whether another pair may be kept.
func (w *warm) room(media, control *socket) bool {
	return w.size() < w.limit && media.fd < w.files && control.fd < w.files
}

// take takes out the pair that has rested longest. Half of the memory at most stands empty, so that a pair is moved once.
func (w *warm) take() restingPair {
	first := w.pairs[w.taken]
	w.pairs[w.taken] = restingPair{}
	if w.taken++; 2*w.taken >= len(w.pairs) {
		left := copy(w.pairs, w.pairs[w.taken:])
		clear(w.pairs[left:])
		w.pairs, w.taken = w.pairs[:left], 0
	}
	return first
}

// keep takes over the ports of a line whose leg has ended, or closes them.
func (l *loop) keep(s *stream) {
	if s.media.rest() && s.control.rest() && l.warm.room(s.media, s.control) {
		l.warm.pairs = append(l.warm.pairs, restingPair{s.media, s.control, l.clock.since()})
		l.ports.rests(1)
		return
	}
	l.end(s.media, s.control)
}

// welcome takes a leg for whose lines it keeps ports. When there are not enough it is false, and some lines may have theirs.
func (l *loop) welcome(g *leg, at netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	complete := true
	g.streams(func(s *stream) { complete = l.warmed(s, at) && complete })
	if complete {
		l.serve(g)
	}
	return complete
}

// warmed gives a line a pair that has rested, with nothing in its queues; the loop waits for it already.
func (l *loop) warmed(s *stream, at netip.Addr) bool {
	for l.warm.rested(l.clock.since() - rest) {
		media, control := l.coldest()
		if media.at == at && (l.poller.quiet() || l.drain(media) && l.drain(control)) {
			s.media, s.control = media, control
			return true
		}
		l.end(media, control)
	}
	return false
}

// coldest takes out the pair that has rested longest.
func (l *loop) coldest() (media, control *socket) {
	l.ports.rests(-1)
	first := l.warm.take()
	return first.media, first.control
}

// drain throws away what the port's former leg was sent; false when that does not end.
func (l *loop) drain(k *socket) bool {
	for range mostLeft {
		if _, errno := receive(k.fd, l.scratch.in[:rtp.MaxPacket], nil); errno == unix.EAGAIN {
			return true
		}
	}
	return false
}

// end closes a pair that the loop waits for.
func (l *loop) end(media, control *socket) {
	l.poller.drop(media)
	l.poller.drop(control)
	l.ports.give(media.port)
}

// coolDown closes pairs that nobody has taken for so long.
func (l *loop) coolDown() {
	for l.warm.rested(l.clock.since() - spare) {
		l.end(l.coldest())
	}
}

// coolOne closes the pair that has rested longest; false when none is kept.
func (l *loop) coolOne() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.warm.size() == 0 {
		return false
	}
	l.end(l.coldest())
	return true
}

// rest takes a socket from its leg: nobody is served and nobody served by it. It is false when the kernel would not let go of the
// phone.
func (k *socket) rest() bool {
	if k.connected.IsValid() && connect(k.fd, netip.AddrPort{}) != nil {
		return false
	}
	*k = socket{fd: k.fd, slot: k.slot, control: k.control, port: k.port, at: k.at}
	return true
}
