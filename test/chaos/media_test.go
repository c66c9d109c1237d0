package chaos_test

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// sound is the socket over which a phone speaks RTP, and now and then RTCP, in all its calls.
type sound struct {
	conn  *net.UDPConn
	count uint32
}

func newSound() (*sound, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	go func() { // nobody listens
		buf := make([]byte, 2048)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	}()
	return &sound{conn: c}, nil
}

func (s *sound) port() int { return s.conn.LocalAddr().(*net.UDPAddr).Port }

// say sends a packet, and sometimes a report.
func (s *sound) say(to netip.AddrPort, payload byte, report bool) {
	if to.Port() == 0 {
		return
	}
	s.count++
	packet := make([]byte, 12+160)
	packet[0], packet[1] = 0x80, payload
	binary.BigEndian.PutUint16(packet[2:], uint16(s.count))
	binary.BigEndian.PutUint32(packet[4:], s.count*160)
	binary.BigEndian.PutUint32(packet[8:], 4711)
	_, _ = s.conn.WriteToUDPAddrPort(packet, to)
	if report {
		empty := []byte{0x80, 201, 0, 1, 0, 0, 0x12, 0x67}
		_, _ = s.conn.WriteToUDPAddrPort(empty, netip.AddrPortFrom(to.Addr(), to.Port()+1))
	}
}
