package edge

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"demarc/telephony"
)

// sharesWith reports whether o is the listener whose address l is served on too.
func (l Listener) sharesWith(o Listener) bool {
	return o.Name == l.Shares && o.Shares == "" &&
		(l.Transport == telephony.WSS && o.Transport == telephony.TLS || l.Transport == telephony.WS && o.Transport == telephony.TCP)
}

// upgrades is how every WebSocket begins (RFC 6455 §4.1), and no SIP request: firewalls that let nothing but port 443 through
// are passed by phones and browsers alike.
const upgrades = "GET "

// sort finds out by its first bytes which of two listeners a connection belongs to. It reports false when the peer said
// nothing.
func (s *stream) sort() bool {
	var room [len(upgrades)]byte
	first := room[:0]
	patient := s.readUntil(time.Now().Add(s.edge.cfg.Limits.FirstMessage))
	for patient && len(first) < len(upgrades) && bytes.HasPrefix([]byte(upgrades), first) {
		n, err := s.nc.Read(room[len(first):])
		first = room[:len(first)+n]
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && !s.edge.isStopping() {
				s.edge.reject(s.cfg, "silent")
			}
			return false
		}
	}
	s.nc = connWith{s.nc, io.MultiReader(bytes.NewReader(first), s.nc)}
	if string(first) == upgrades {
		s.cfg = *s.beside
		s.flow.Listener, s.flow.Transport = s.cfg.Name, s.cfg.Transport
	}
	return patient
}

// connWith is a connection that is read through r.
type connWith struct {
	net.Conn
	r io.Reader
}

func (c connWith) Read(b []byte) (int, error) { return c.r.Read(b) }
