package transport

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// direct is a TCP connection whose reads and writes are not told to the scheduler: they never wait in the system, for the runtime
// waits for them. One goroutine may read while one writes.
type direct struct {
	*net.TCPConn
	raw syscall.RawConn

	in    []byte
	took  int
	inErr error
	take  func(fd uintptr) bool // tryRead, made once

	out    []byte
	outErr error
	give   func(fd uintptr) bool // tryWrite, made once
}

// Direct returns the connection, or one that reads and writes in another way where this is not possible.
func Direct(nc net.Conn) net.Conn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nc
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nc // it is closed, and every call will say so
	}
	d := &direct{TCPConn: tcp, raw: raw}
	d.take, d.give = d.tryRead, d.tryWrite
	return d
}

func (d *direct) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	d.in, d.took, d.inErr = b, 0, nil
	err := d.raw.Read(d.take)
	d.in = nil
	if err != nil {
		return 0, err
	}
	return d.took, d.inErr
}

// tryRead takes what is there. It reports false when that is nothing: then the runtime waits.
func (d *direct) tryRead(fd uintptr) (done bool) {
	n, err := readOnce(fd, d.in)
	switch {
	case err == unix.EAGAIN:
		return false
	case err != 0:
		d.inErr = os.NewSyscallError("read", err)
	case n == 0:
		d.inErr = io.EOF
	}
	d.took = n
	return true
}

func (d *direct) Write(b []byte) (int, error) {
	d.out, d.outErr = b, nil
	err := d.raw.Write(d.give)
	n := len(b) - len(d.out)
	d.out = nil
	if err != nil {
		return n, err
	}
	return n, d.outErr
}

// tryWrite writes what is left. It reports false when the system has no room now: then the runtime waits.
func (d *direct) tryWrite(fd uintptr) (done bool) {
	for len(d.out) > 0 {
		n, err := writeOnce(fd, d.out)
		switch {
		case err == unix.EAGAIN:
			return false
		case err != 0:
			d.outErr = os.NewSyscallError("write", err)
			return true
		}
		d.out = d.out[n:]
	}
	return true
}
