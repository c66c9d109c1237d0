//go:build !race

package transport

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readOnce and writeOnce make one system call on a socket that never waits, so that the scheduler need not know.
func readOnce(fd uintptr, b []byte) (int, syscall.Errno)  { return once(unix.SYS_READ, fd, b) }
func writeOnce(fd uintptr, b []byte) (int, syscall.Errno) { return once(unix.SYS_WRITE, fd, b) }

func once(number, fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, err := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch err {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}
