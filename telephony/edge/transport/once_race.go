//go:build race

package transport

import "syscall"

// The race detector knows by these calls that what is read was written before.
func readOnce(fd uintptr, b []byte) (int, syscall.Errno)  { return once(syscall.Read, fd, b) }
func writeOnce(fd uintptr, b []byte) (int, syscall.Errno) { return once(syscall.Write, fd, b) }

func once(call func(int, []byte) (int, error), fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, err := call(int(fd), b)
		errno, _ := err.(syscall.Errno)
		if errno != syscall.EINTR {
			return max(n, 0), errno
		}
	}
}
