package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"demarc/telephony/rtp"
	"demarc/telephony/sdp"
)

// A relayed call has two phones that each send a packet of 160 bytes every 20 ms. The phones of all calls share a few sockets of
// the bench, so that it costs little; the server has a port of its own for each of them.
const (
	relaySockets = 8
	frame        = 20 // ms
	payloadSize  = 160
	secureSuite  = "AES_CM_128_HMAC_SHA1_80"
)

// relayServer sets up calls: the address and the SRTP key of each phone go in, where they send to comes out.
type relayServer interface {
	call(ctx context.Context, n int, phones [2]phoneMedia) ([2]netip.AddrPort, error)
	hangUp(ctx context.Context, n int) error
}

// phoneMedia is what a phone says of itself in SDP.
type phoneMedia struct {
	Addr netip.AddrPort
	Key  sdp.Key // without a suite: plain RTP
}

// relayLoad is the phones of many calls.
type relayLoad struct {
	sockets        []*ipv4.PacketConn
	addresses      []netip.AddrPort
	phones         []*sender
	sent, received atomic.Int64

	mu    sync.Mutex
	delay []time.Duration // of some packets, on the whole way
}

// sender is one phone.
type sender struct {
	to      net.Addr
	out     rtp.Sender
	protect *rtp.Protection
	plain   rtp.Packet
	sealed  []byte
}

func newRelayLoad() (*relayLoad, error) {
	l := &relayLoad{}
	for range relaySockets {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		if err := widen(c); err != nil {
			return nil, errors.Join(err, c.Close(), l.close())
		}
		l.sockets = append(l.sockets, ipv4.NewPacketConn(c))
		l.addresses = append(l.addresses, c.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	return l, nil
}

// widen gives a socket room for what comes while the bench does not run; beyond the system's limit when it may.
func widen(c *net.UDPConn) error {
	const room = 4 << 20
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	forced := false
	err = raw.Control(func(fd uintptr) {
		forced = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) == nil
	})
	if err != nil || forced {
		return err
	}
	return c.SetReadBuffer(room)
}

func (l *relayLoad) close() error {
	var failed []error
	for _, c := range l.sockets {
		failed = append(failed, c.Close())
	}
	return errors.Join(failed...)
}

// set sets up calls at a server, the first phone of each by SRTP when secure.
func (l *relayLoad) set(ctx context.Context, server relayServer, calls int, secure bool) error {
	for n := range calls {
		phones := [2]phoneMedia{{Addr: l.addresses[2*n%relaySockets]}, {Addr: l.addresses[(2*n+1)%relaySockets]}}
		if secure {
			all := rtp.NewKeys()
			phones[0].Key = all[slices.IndexFunc(all, func(k sdp.Key) bool { return k.Suite == secureSuite })]
			phones[0].Key.Tag = 1
		}
		to, err := server.call(ctx, n, phones)
		if err != nil {
			return fmt.Errorf("call %d: %w", n, err)
		}
		for i := range phones {
			s, err := newSender(phones[i], to[i])
			if err != nil {
				return err
			}
			l.phones = append(l.phones, s)
		}
	}
	return nil
}

func newSender(p phoneMedia, to netip.AddrPort) (*sender, error) {
	s := &sender{
		to: net.UDPAddrFromAddrPort(to), out: rtp.NewSender(false),
		plain: rtp.Packet(rtp.Append(nil, 0, false, make([]byte, payloadSize))), sealed: make([]byte, 0, payloadSize+100),
	}
	if p.Key.Suite == "" {
		return s, nil
	}
	var err error
	s.protect, err = rtp.NewProtection(p.Key)
	return s, err
}

// packet is the phone's next one.
func (s *sender) packet() ([]byte, error) {
	s.out.Next(s.plain, payloadSize, time.Second, 8000)
	binary.BigEndian.PutUint64(s.plain.Payload(), uint64(time.Now().UnixNano()))
	if s.protect == nil {
		return s.plain, nil
	}
	return s.protect.RTP(s.sealed[:0], s.plain)
}

// worker sends for all phones and counts what arrives. Most of what was sent must: a machine that is busy with something else loses
// some on either side.
func (l *relayLoad) worker() worker {
	run := func(ctx context.Context) error {
		l.sent.Store(0)
		arrived := l.received.Load()
		stop := context.AfterFunc(ctx, func() {
			for _, c := range l.sockets {
				_ = c.SetReadDeadline(time.Now()) // ends the readers; of an open socket it does not fail
			}
		})
		defer stop()
		var readers sync.WaitGroup
		for _, c := range l.sockets {
			if err := c.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
			readers.Go(func() { l.read(ctx, c) })
		}
		err := l.send(ctx)
		readers.Wait()
		if sent, got := l.sent.Load(), l.received.Load()-arrived; err == nil && float64(got) < 0.8*float64(sent) {
			err = fmt.Errorf("of %d packets %d came out", sent, got)
		}
		return err
	}
	return worker{run: run, count: l.received.Load}
}

func (l *relayLoad) read(ctx context.Context, c *ipv4.PacketConn) {
	batch := make([]ipv4.Message, 64)
	for i := range batch {
		batch[i].Buffers = [][]byte{make([]byte, 512)}
	}
	for ctx.Err() == nil {
		n, err := c.ReadBatch(batch, 0)
		if err != nil {
			continue // word of a port that is closed, or the end
		}
		if l.received.Add(int64(n))%16 == 0 {
			l.time(batch[n-1])
		}
	}
}

// time notes how long a packet was on its way.
func (l *relayLoad) time(m ipv4.Message) {
	p, ok := rtp.Read(m.Buffers[0][:m.N])
	if !ok || m.N != rtp.HeaderSize+payloadSize {
		return // RTCP, or SRTP
	}
	sent := time.Unix(0, int64(binary.BigEndian.Uint64(p.Payload())))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = append(l.delay, time.Since(sent))
}

// send lets a twentieth of the phones speak every millisecond.
func (l *relayLoad) send(ctx context.Context) error {
	batches := make([][]ipv4.Message, relaySockets)
	begun := time.Now()
	for tick := 0; ctx.Err() == nil; tick++ {
		time.Sleep(time.Until(begun.Add(time.Duration(tick) * time.Millisecond)))
		for i := range batches {
			batches[i] = batches[i][:0]
		}
		for i := tick % frame; i < len(l.phones); i += frame {
			b, err := l.phones[i].packet()
			if err != nil {
				return err
			}
			k := i % relaySockets
			batches[k] = append(batches[k], ipv4.Message{Buffers: [][]byte{b}, Addr: l.phones[i].to})
		}
		for k, batch := range batches {
			for len(batch) > 0 {
				n, err := l.sockets[k].WriteBatch(batch, 0)
				if err != nil {
					return err
				}
				l.sent.Add(int64(n))
				batch = batch[n:]
			}
		}
	}
	return nil
}
