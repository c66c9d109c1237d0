package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Datagrams reads and writes a UDP socket, many datagrams with each call: recvmmsg(2) and sendmmsg(2), which neither
// package net nor x/net offer without garbage for every address. One goroutine may read while one writes.
type Datagrams struct {
	raw syscall.RawConn
	v6  bool // an IPv6 socket, which writes IPv4 addresses as mapped ones
	in  messages
	out messages

	room  []byte // of what was read
	taken int
	fault error
	take  func(fd uintptr) bool // tryRead, made once

	leaving []Departure // as they stand in out
	from    int         // the first of them that is not sent yet
	failed  int
	give    func(fd uintptr) bool // tryWrite, made once
}

const maxDatagram = 64 << 10

// stride is how far apart datagrams are read to. At a power of two they would all stand in the same few lines of the processor's
// cache, and push each other out.
const stride = maxDatagram + 11*64

// messages are the arguments of one call, which point to each other.
type messages struct {
	headers  [batch]mmsghdr
	vectors  [batch]unix.Iovec
	names    [batch]unix.RawSockaddrInet6 // room for either family
	controls []control                    // one for each; nil at a socket that is bound to one address
}

// mmsghdr is the struct of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// NewDatagrams takes over the reading and writing of a socket, which is closed by who opened it. It fails when that is closed already.
func NewDatagrams(conn *net.UDPConn) (*Datagrams, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &Datagrams{raw: raw, room: make([]byte, batch*stride)}
	d.take, d.give = d.tryRead, d.tryWrite
	if err := raw.Control(func(fd uintptr) {
		family, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		if d.v6, d.fault = family == unix.AF_INET6, err; err == nil && everywhere(conn) {
			d.fault = d.tell(int(fd))
		}
	}); err != nil {
		return nil, err
	}
	for i := range d.in.headers {
		d.in.vectors[i].Base = &d.room[i*stride]
		d.in.vectors[i].SetLen(maxDatagram)
	}
	d.in.connect()
	d.out.connect()
	return d, d.fault
}

// connect lets every header point to its vector, its name and its control data.
func (m *messages) connect() {
	for i := range m.headers {
		h := &m.headers[i].header
		h.Name = (*byte)(unsafe.Pointer(&m.names[i]))
		h.Iov = &m.vectors[i]
		h.SetIovlen(1)
		if m.controls != nil {
			h.Control = (*byte)(unsafe.Pointer(&m.controls[i]))
		}
	}
}

// Read waits for datagrams and returns how many came; they are good until the next Read. Of a closed socket it says net.ErrClosed.
func (d *Datagrams) Read() (n int, err error) {
	if err := d.raw.Read(d.take); err != nil {
		return 0, err
	}
	return d.taken, d.fault
}

// tryRead takes what is there. It reports false when that is nothing: then the runtime waits.
func (d *Datagrams) tryRead(fd uintptr) (done bool) {
	for i := range d.in.headers {
		d.in.headers[i].header.Namelen = unix.SizeofSockaddrInet6
	}
	for i := range d.in.controls {
		d.in.headers[i].header.SetControllen(int(unsafe.Sizeof(control{})))
	}
	n, err := call(unix.SYS_RECVMMSG, fd, d.in.headers[:])
	if err == unix.EAGAIN || err == unix.EINTR {
		return false
	}
	d.taken, d.fault = 0, nil
	if err != 0 {
		d.fault = err
	} else {
		d.taken = n
	}
	return true
}

// call makes one of the two system calls. Neither waits, so that the scheduler need not know.
func call(number, fd uintptr, headers []mmsghdr) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(&headers[0])), uintptr(len(headers)),
		unix.MSG_DONTWAIT, 0, 0)
	return int(n), err
}

// At returns one of the datagrams that the last Read took, where it came from, and to which of our addresses it came when the
// socket is bound to all of them; else that is zero.
func (d *Datagrams) At(i int) (b []byte, from netip.AddrPort, local netip.Addr) {
	start, size := i*stride, int(d.in.headers[i].length)
	return d.room[start : start+size], address(&d.in.names[i]), d.local(i)
}

// Write sends datagrams, at most 32 of them, and returns how many the system would not take; each of those holds why then.
func (d *Datagrams) Write(all []Departure) (failed int) {
	for i, one := range all {
		m := &d.out
		m.vectors[i].Base = unsafe.SliceData(one.B)
		m.vectors[i].SetLen(len(one.B))
		m.headers[i].header.Namelen = d.name(&m.names[i], one.To)
		m.headers[i].header.SetControllen(d.leaveFrom(i, one.From))
	}
	d.from, d.leaving, d.failed = 0, all, 0
	if err := d.raw.Write(d.give); err != nil { // the socket is closed
		for d.from < len(all) {
			d.fail(err)
		}
	}
	d.leaving = nil
	for i := range all {
		d.out.vectors[i].Base = nil
	}
	return d.failed
}

// fail gives the next datagram up.
func (d *Datagrams) fail(err error) {
	d.leaving[d.from].Err = err
	d.failed++
	d.from++
}

// tryWrite sends what has not been sent yet. One that cannot be sent does not stop the others. It reports false when the
// system has no room now: then the runtime waits.
func (d *Datagrams) tryWrite(fd uintptr) (done bool) {
	for d.from < len(d.leaving) {
		n, err := call(unix.SYS_SENDMMSG, fd, d.out.headers[d.from:len(d.leaving)])
		switch err {
		case 0:
			d.from += n
		case unix.EAGAIN:
			return false
		case unix.EINTR:
		default:
			d.fail(err)
		}
	}
	return true
}

// address reads a socket address; the port stands in network order.
func address(name *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	if name.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr), port)
	}
	a := netip.AddrFrom16(name.Addr).Unmap()
	if name.Scope_id != 0 { // link-local
		a = a.WithZone(strconv.FormatUint(uint64(name.Scope_id), 10))
	}
	return netip.AddrPortFrom(a, port)
}

// name writes a socket address of the socket's own family and returns its length.
func (d *Datagrams) name(name *unix.RawSockaddrInet6, to netip.AddrPort) uint32 {
	port := (*[2]byte)(unsafe.Pointer(&name.Port))[:]
	if !d.v6 && !to.Addr().Unmap().Is4() {
		return 0 // which the system refuses
	}
	if !d.v6 {
		*name = unix.RawSockaddrInet6{Family: unix.AF_INET}
		(*unix.RawSockaddrInet4)(unsafe.Pointer(name)).Addr = to.Addr().As4()
		binary.BigEndian.PutUint16(port, to.Port())
		return unix.SizeofSockaddrInet4
	}
	*name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: to.Addr().As16()}
	if zone := to.Addr().Zone(); zone != "" {
		name.Scope_id = scope(zone)
	}
	binary.BigEndian.PutUint16(port, to.Port())
	return unix.SizeofSockaddrInet6
}

// scope returns the number of a zone: an interface by number, as address writes it, or by name.
func scope(zone string) uint32 {
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}
