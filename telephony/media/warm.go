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
	// mostWarm bounds the pairs that are kept by all loops.
	mostWarm = 4096
	// mostLeft is how many packets a port that is taken may have in its queue; one that is flooded is closed instead.
	mostLeft = 32
)

// warm are the pairs that a loop keeps, the one that has rested longest first. The loop's lock guards it.
type warm struct {
	pairs []restingPair
	limit int
}

type restingPair struct {
	media, control *socket
	at             netip.Addr
	since          time.Duration
}

// warmLimit is how many pairs each of so many loops may keep: together a quarter of the files that the process may open, at most.
func warmLimit(loops int) int {
	most := mostWarm
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		most = int(min(uint64(most), files.Cur/8))
	}
	return most / loops
}

// keep takes over the ports of a line whose leg has ended, or closes them.
func (l *loop) keep(s *stream) {
	if s.media.rest() && s.control.rest() && len(l.warm.pairs) < l.warm.limit {
		l.warm.pairs = append(l.warm.pairs, restingPair{s.media, s.control, s.media.at, l.clock.since()})
		l.ports.rests(1)
		return
	}
	l.poller.drop(s.media)
	l.poller.drop(s.control)
	l.ports.give(s.media.port)
}

// warmed returns a pair that has rested, with nothing in its queues; the loop waits for it already.
func (l *loop) warmed(at netip.Addr) (media, control *socket, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.warm.pairs) > 0 && l.clock.since()-l.warm.pairs[0].since >= rest {
		first := l.coldest()
		if first.at == at && l.drain(first.media) && l.drain(first.control) {
			return first.media, first.control, true
		}
		l.cool(first)
	}
	return nil, nil, false
}

// coldest takes out the pair that has rested longest.
func (l *loop) coldest() restingPair {
	pairs := l.warm.pairs
	first := pairs[0]
	pairs[0] = restingPair{}
	l.warm.pairs = pairs[1:]
	l.ports.rests(-1)
	return first
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

// cool closes a pair that was kept.
func (l *loop) cool(r restingPair) {
	l.poller.drop(r.media)
	l.poller.drop(r.control)
	l.ports.give(r.media.port)
}

// coolDown closes pairs that nobody has taken for so long.
func (l *loop) coolDown(after time.Duration) {
	for len(l.warm.pairs) > 0 && l.clock.since()-l.warm.pairs[0].since >= after {
		l.cool(l.coldest())
	}
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
