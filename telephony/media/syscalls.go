package media

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of the packet path. They go to the kernel directly: the sockets never block, and the functions of package unix allocate
// an address for each packet.

// sockaddr is room for an address of either family, in the kernel's form.
type sockaddr struct {
	raw  unix.RawSockaddrInet6 // the larger of the two
	size uint32
}

func (a *sockaddr) set(to netip.AddrPort) {
	if ip := to.Addr(); ip.Is4() {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		*four = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: ip.As4()}
		a.size = unix.SizeofSockaddrInet4
	} else {
		a.raw = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: ip.As16()}
		a.size = unix.SizeofSockaddrInet6
	}
	binary.BigEndian.PutUint16(a.port(), to.Port())
}

func (a *sockaddr) get() netip.AddrPort {
	port := binary.BigEndian.Uint16(a.port())
	if a.raw.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.raw.Addr), port)
}

// port is at the same place in both forms, in the order of the network.
func (a *sockaddr) port() []byte { return (*[2]byte)(unsafe.Pointer(&a.raw.Port))[:] }

// receive reads one datagram and tells its true size, which may be more than was room for. Where it came from may be of no interest.
func receive(fd int, b []byte, from *sockaddr) (int, unix.Errno) {
	if from == nil {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
		return int(n), errno
	}
	from.size = unix.SizeofSockaddrInet6
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.size)))
	return int(n), errno
}

// send writes one datagram, to where the socket is connected when to is nil.
func send(fd int, b []byte, to *sockaddr) unix.Errno {
	if to == nil {
		_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		return errno
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&to.raw)), uintptr(to.size))
	return errno
}

// connect lets the kernel refuse what does not come from there; to nobody takes that back, and the port stays.
func connect(fd int, to netip.AddrPort) error {
	if !to.IsValid() {
		nobody := sockaddr{raw: unix.RawSockaddrInet6{Family: unix.AF_UNSPEC}}
		_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nobody.raw)), unix.SizeofSockaddrInet6)
		if errno != 0 {
			return errno
		}
		return nil
	}
	return unix.Connect(fd, address(to))
}

func address(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// nap sleeps in the kernel. A timer of the runtime would wake a thread more.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&t, nil) // a signal ends it early, which harms nothing
}
