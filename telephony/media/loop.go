package media

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"demarc/telephony"
	"demarc/telephony/rtp"
)

// tick is how long a loop gathers packets before it works them off. Each wake-up costs as much as a packet, and with some hundred
// calls a wake-up for each packet is most of what relaying costs. A packet is late by half of it on the average.
const tick = 2 * time.Millisecond

// batch is how many sockets are asked for at once, and rounds how often before the loop naps, so that a flood at one port
// does not keep others waiting.
const (
	batch  = 256
	rounds = 16
)

// loop reads the sockets of its legs.
type loop struct {
	mu      sync.Mutex // guards what follows, the sockets' state included
	poll    int        // the epoll
	wake    int        // an eventfd in it that ends the wait
	slots   []*socket
	empty   []int32 // free slots
	legs    map[telephony.MediaID]*leg
	events  []telephony.MediaEvent // to tell when the lock is free
	now     time.Duration          // since begun, of this round
	due     time.Duration          // of the next second
	seconds uint64
	begun   time.Time
	timeout time.Duration
	name    string // CNAME
	scratch *scratch
	stopped bool
	serving context.Context                 // of run
	shake   func(context.Context, *session) // does a handshake in a goroutine of its own
}

// scratch is what every packet of the loop is read into and written from.
type scratch struct {
	in, out [rtp.MaxPacket + rtp.Overhead]byte
	report  [256]byte
	from    sockaddr
	ready   [batch]unix.EpollEvent
}

// wakeSlot stands for the eventfd.
const wakeSlot = -1

func newLoop(begun time.Time, timeout time.Duration, name string) (*loop, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("media loop: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(poll)
		return nil, fmt.Errorf("media loop: %w", err)
	}
	l := &loop{
		poll: poll, wake: wake, legs: map[telephony.MediaID]*leg{}, begun: begun, timeout: timeout, name: name,
		scratch: &scratch{},
	}
	if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot}); err != nil {
		_, _ = unix.Close(wake), unix.Close(poll)
		return nil, fmt.Errorf("media loop: %w", err)
	}
	l.now = time.Since(begun)
	return l, nil
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

// rouse ends a wait.
func (l *loop) rouse() {
	_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // only a full counter refuses it, which wakes as well
}

// wait waits for packets, works them off, and naps when there were some.
func (l *loop) wait(tell func(telephony.MediaEvent)) {
	timeout := time.Second
	for round := range rounds {
		n, err := unix.EpollWait(l.poll, l.scratch.ready[:], int(timeout/time.Millisecond))
		if err != nil {
			n = 0 // EINTR
		}
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

// round works off what n sockets have, one packet each, and what is due by the clock.
func (l *loop) round(n int) []telephony.MediaEvent {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = time.Since(l.begun)
	for _, e := range l.scratch.ready[:n] {
		if e.Fd == wakeSlot {
			continue
		}
		if k := l.slots[e.Fd]; k != nil {
			l.read(k)
		}
	}
	if l.now >= l.due {
		l.due = l.now + time.Second
		l.second(time.Now())
	}
	events := l.events
	l.events = nil
	return events
}

// read takes one packet from a socket. The slot may be another's than the one that was ready: then there is nothing to read.
func (l *loop) read(k *socket) {
	n, errno := receive(k.fd, l.scratch.in[:rtp.MaxPacket], &l.scratch.from)
	if errno != 0 {
		return // nothing there, or word that our last packet met a closed port
	}
	from := l.scratch.from.get()
	if n > rtp.MaxPacket {
		k.stream.refuse(from)
		return
	}
	l.datagram(k, l.scratch.in[:n], from)
}

func (l *loop) tell(e telephony.MediaEvent) { l.events = append(l.events, e) }

// add lets the loop read a socket.
func (l *loop) add(k *socket) error {
	if n := len(l.empty); n > 0 {
		k.slot, l.empty = l.empty[n-1], l.empty[:n-1]
		l.slots[k.slot] = k
	} else {
		k.slot = int32(len(l.slots))
		l.slots = append(l.slots, k)
	}
	err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, k.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: k.slot})
	if err != nil {
		l.forget(k)
		return fmt.Errorf("media loop: %w", err)
	}
	return nil
}

// drop closes a socket.
func (l *loop) drop(k *socket) {
	k.close() // which takes it out of the epoll
	l.forget(k)
}

func (l *loop) forget(k *socket) {
	l.slots[k.slot] = nil
	l.empty = append(l.empty, k.slot)
}

// adopt takes a leg whose sockets no loop reads.
func (l *loop) adopt(g *leg) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return ErrStopped
	}
	var added []*socket
	g.sockets(func(k *socket) {
		if err == nil {
			if err = l.add(k); err == nil {
				added = append(added, k)
			}
		}
	})
	if err != nil {
		for _, k := range added {
			l.release(k)
		}
		return err
	}
	g.loop, l.legs[g.id] = l, g
	return nil
}

// leave lets go of a leg, whose clock goes on as that of this loop; false when it is not here any more.
func (l *loop) leave(g *leg) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.legs[g.id] != g {
		return false
	}
	delete(l.legs, g.id)
	g.part()
	g.sockets(l.release)
	return true
}

func (l *loop) release(k *socket) {
	_ = unix.EpollCtl(l.poll, unix.EPOLL_CTL_DEL, k.fd, nil) // it is there: add put it there
	l.forget(k)
}

func (l *loop) load() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.legs)
}

func (l *loop) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.legs {
		g.streams((*stream).end)
	}
	for _, k := range l.slots {
		if k != nil {
			l.drop(k)
		}
	}
	clear(l.legs)
	_, _ = unix.Close(l.wake), unix.Close(l.poll)
	l.stopped = true
}
