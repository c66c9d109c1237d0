package flood_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"

	"demarc/telephony"
)

// device is one of a crowd: it knows the least that a phone must, so that fifty thousand of them fit into a test. Each has
// an address of its own.
type device struct {
	number    int
	transport telephony.Transport
	at        net.IP
	cseq      int

	// Over UDP: what is under way, and when it is to be sent again (RFC 3261 §17.1.2.2).
	out    []byte
	resend time.Time
	wait   time.Duration
}

const (
	firstWait = 500 * time.Millisecond // T1
	mostWait  = 4 * time.Second        // T2
)

func newDevice(number int, transport telephony.Transport) *device {
	return &device{
		number: number, transport: transport, at: net.IPv4(127, byte(16+number>>16), byte(number>>8), byte(number)).To4(),
	}
}

// request builds the next REGISTER, which asks or answers a challenge.
func (d *device) request(port int, authorize string) []byte {
	d.cseq++
	if authorize != "" {
		authorize = "Authorization: " + authorize + "\r\n"
	}
	d.out = fmt.Appendf(d.out[:0], "REGISTER sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/%[2]s %[3]s:%[4]d;branch=z9hG4bK%[5]d-%[6]d;rport\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:%[7]s@%[1]s>;tag=c\r\nTo: <sip:%[7]s@%[1]s>\r\nCall-ID: %[5]d@crowd\r\nCSeq: %[6]d REGISTER\r\n"+
		"Contact: <sip:%[7]s@%[3]s:%[4]d>;+sip.instance=\"<urn:uuid:%08[5]d-0000-4000-8000-000000000000>\"\r\nExpires: 3600\r\n"+
		"User-Agent: crowd\r\n%[8]sContent-Length: 0\r\n\r\n",
		domain, strings.ToUpper(string(d.transport)), d.at, port, d.number, d.cseq, user(d.number), authorize)
	return d.out
}

// answered goes on from a response to the request under way: with another request, or it is done. Whoever is told to come
// back later does that at another time.
func (d *device) answered(response []byte, port int) (next []byte, later time.Duration, err error) {
	switch status := string(response[len("SIP/2.0 "):len("SIP/2.0 200")]); status {
	case "200":
		return nil, 0, nil
	case "401":
		challenge := "WWW-Authenticate: " + between(response, "WWW-Authenticate: ", "\r\n")
		return d.request(port, answer(user(d.number), password(d.number), challenge)), 0, nil
	case "503":
		seconds, err := strconv.Atoi(between(response, "Retry-After: ", "\r\n"))
		return nil, time.Duration(seconds) * time.Second, err
	default:
		return nil, 0, fmt.Errorf("device %d got %s", d.number, status)
	}
}

func between(b []byte, from, to string) string {
	_, rest, _ := bytes.Cut(b, []byte(from))
	value, _, _ := bytes.Cut(rest, []byte(to))
	return string(value)
}

// village is one socket for many devices on UDP, which sends from the address of each.
type village struct {
	conn    *net.UDPConn
	packets *ipv4.PacketConn
	server  *net.UDPAddr
	port    int
}

func newVillage(server string) (*village, error) {
	to, err := net.ResolveUDPAddr("udp4", server)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{})
	if err != nil {
		return nil, err
	}
	v := &village{conn: conn, packets: ipv4.NewPacketConn(conn), server: to, port: conn.LocalAddr().(*net.UDPAddr).Port}
	return v, v.packets.SetControlMessage(ipv4.FlagDst, true)
}

func (v *village) send(d *device, request []byte) error {
	d.resend = time.Now().Add(d.wait)
	_, err := v.packets.WriteTo(request, &ipv4.ControlMessage{Src: d.at}, v.server)
	return err
}

// register lets all devices register, so many of them at a time, and returns when the last has, or the context has ended.
func (v *village) register(ctx context.Context, all []*device, atOnce int, done *atomic.Int64) error {
	under, waiting := make(map[string]*device, atOnce), all // by Call-ID
	b := make([]byte, 4<<10)
	for len(under) > 0 || len(waiting) > 0 {
		for ; len(under) < atOnce && len(waiting) > 0; waiting = waiting[1:] {
			d := waiting[0]
			under[strconv.Itoa(d.number)], d.wait = d, firstWait
			if err := v.send(d, d.request(v.port, "")); err != nil {
				return err
			}
		}
		if err := v.conn.SetReadDeadline(time.Now().Add(firstWait / 5)); err != nil {
			return err
		}
		n, heard, _, err := v.packets.ReadFrom(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if err = v.resend(under); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%d devices on UDP are not registered: %w", len(under)+len(waiting), ctx.Err())
			}
			continue
		}
		if err != nil {
			return err
		}
		id := between(b[:n], "Call-ID: ", "@")
		d := under[id]
		if d == nil || !d.at.Equal(heard.Dst) || between(b[:n], "CSeq: ", " ") != strconv.Itoa(d.cseq) {
			continue // the second answer to what was sent twice
		}
		next, later, err := d.answered(b[:n], v.port)
		switch {
		case err != nil:
			return err
		case later > 0:
			d.request(v.port, "") // it begins anew
			d.resend = time.Now().Add(later)
		case next != nil:
			d.wait = firstWait
			if err := v.send(d, next); err != nil {
				return err
			}
		default:
			delete(under, id)
			done.Add(1)
		}
	}
	return nil
}

func (v *village) resend(under map[string]*device) error {
	for _, d := range under {
		if time.Now().Before(d.resend) {
			continue
		}
		d.wait = min(2*d.wait, mostWait)
		if err := v.send(d, d.out); err != nil {
			return err
		}
	}
	return nil
}

// connect lets a device register over a new TLS connection, which stays open. It tries until the context ends.
func (d *device) connect(ctx context.Context, server string, config *tls.Config) (net.Conn, error) {
	for {
		conn, later, err := d.connectOnce(ctx, server, config)
		if err == nil && later == 0 {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("device %d on TLS is not registered: %w: %w", d.number, ctx.Err(), err)
		case <-time.After(max(later, firstWait)):
		}
	}
}

func (d *device) connectOnce(ctx context.Context, server string, config *tls.Config) (_ net.Conn, later time.Duration, err error) {
	dialer := tls.Dialer{NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: d.at}}, Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil || later > 0 {
			_ = conn.Close()
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, 0, err
	}
	port := conn.LocalAddr().(*net.TCPAddr).Port
	b := make([]byte, 2<<10)
	for next := d.request(port, ""); next != nil; {
		if _, err := conn.Write(next); err != nil {
			return nil, 0, err
		}
		n := 0
		for !bytes.HasSuffix(b[:n], []byte("\r\n\r\n")) {
			got, err := conn.Read(b[n:])
			if n += got; err != nil {
				return nil, 0, err
			}
		}
		if next, later, err = d.answered(b[:n], port); err != nil {
			return nil, 0, err
		}
	}
	return conn, later, conn.SetDeadline(time.Time{})
}
