package media

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many sockets are asked for at once.
const batch = 256

// poller waits for many sockets at once. Each has a slot, by whose number the kernel names it.
type poller struct {
	fd    int // of the epoll
	bell  int // an eventfd in it that ends a wait
	slots []*socket
	empty []int32 // free slots
	ready [batch]unix.EpollEvent

	closed bool
}

// bellSlot stands for the eventfd.
const bellSlot = -1

func newPoller() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return poller{}, err
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return poller{}, err
	}
	p := poller{fd: fd, bell: bell}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, bell, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: bellSlot}); err != nil {
		p.close()
		return poller{}, err
	}
	return p, nil
}

// wait fills ready, and returns how many there are.
func (p *poller) wait(timeout time.Duration) int {
	n, err := unix.EpollWait(p.fd, p.ready[:], int((timeout+time.Millisecond-1)/time.Millisecond))
	if err != nil {
		return 0 // a signal came
	}
	return n
}

// quiet reports whether no socket has anything to read, at the price of one system call however many there are. What comes while it asks
// it may miss. Whoever waits is told all the same, for the kernel goes on naming a socket until it has been read.
func (p *poller) quiet() bool {
	var first unix.EpollEvent
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&first)), 1, 0, 0, 0)
	if n == 1 && first.Fd == bellSlot {
		p.rouse() // the bell alone is named once, and that was for who waits
	}
	return n == 0 && errno == 0
}

// rouse ends a wait; a poller that is closed has none.
func (p *poller) rouse() {
	if p.closed {
		return
	}
	_, _ = unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // only a full counter refuses it, which wakes as well
}

// socket returns whose slot it is; nil when it is nobody's by now.
func (p *poller) socket(slot int32) *socket {
	if slot == bellSlot {
		return nil
	}
	return p.slots[slot]
}

// has reports whether it waits for the socket.
func (p *poller) has(k *socket) bool { return int(k.slot) < len(p.slots) && p.slots[k.slot] == k }

// add takes a socket in.
func (p *poller) add(k *socket) error {
	if n := len(p.empty); n > 0 {
		k.slot, p.empty = p.empty[n-1], p.empty[:n-1]
		p.slots[k.slot] = k
	} else {
		k.slot = int32(len(p.slots))
		p.slots = append(p.slots, k)
	}
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, k.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: k.slot}); err != nil {
		p.forget(k)
		return fmt.Errorf("media loop: %w", err)
	}
	return nil
}

// drop closes a socket, which takes it out.
func (p *poller) drop(k *socket) {
	k.close()
	p.forget(k)
}

// release lets another poller have the socket.
func (p *poller) release(k *socket) {
	_ = unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, k.fd, nil) // it is there: add put it there
	p.forget(k)
}

func (p *poller) forget(k *socket) {
	p.slots[k.slot] = nil
	p.empty = append(p.empty, k.slot)
}

// close closes the sockets too.
func (p *poller) close() {
	for _, k := range p.slots {
		if k != nil {
			p.drop(k)
		}
	}
	_, _ = unix.Close(p.bell), unix.Close(p.fd)
	p.closed = true
}
