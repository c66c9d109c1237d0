//go:build !linux

package edge

import (
	"net"
	"net/netip"
)

// datagrams reads and writes a UDP socket, one datagram with each call.
type datagrams struct {
	conn *net.UDPConn
	buf  []byte
	n    int
	from netip.AddrPort
}

func newDatagrams(conn *net.UDPConn) (*datagrams, error) {
	return &datagrams{conn: conn, buf: make([]byte, maxDatagram)}, nil
}

// read waits for datagrams and returns how many came; they are good until the next read.
func (d *datagrams) read() (n int, err error) {
	d.n, d.from, err = d.conn.ReadFromUDPAddrPort(d.buf)
	if err != nil {
		return 0, err
	}
	return 1, nil
}

// at returns one of the datagrams that the last read took.
func (d *datagrams) at(int) (b []byte, from netip.AddrPort) { return d.buf[:d.n], unmapped(d.from) }

// write sends datagrams and returns how many the system would not take.
func (d *datagrams) write(all []departure) (failed int) {
	for _, one := range all {
		if _, err := d.conn.WriteToUDPAddrPort(one.b, one.to); err != nil {
			failed++
		}
	}
	return failed
}
