//go:build !linux

package edge

import "net"

// newDirect returns the connection as it is.
func newDirect(nc net.Conn) net.Conn { return nc }
