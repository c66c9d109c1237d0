package interop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"demarc/internal/config"
)

// The pool of the gateway whose ports are sprayed, out of the way of phones.
const poolFirst, poolLast = 31000, 31039

// A stranger sprays all ports of the pool before, during and after a call, and sends a million packets that look like SRTP to
// the port of the call itself. He gets nothing, both hear each other meanwhile and nothing else, and the heap stays as it is.
func TestForgersGetNothing(t *testing.T) {
	f := newCallFloor(t, false, func(c *config.Config) { c.Telephony.Media.Ports = fmt.Sprintf("%d-%d", poolFirst, poolLast) })
	sdes := model{"linphone", "sdes", ""}
	from, to := f.seat(t, sdes, callerTone), f.seat(t, sdes, calleeTone)
	forger := newForger(t)
	forger.sprayPool()
	talk(t, from, to)
	forger.sprayPool()
	port, before := f.mediaPort(t, from.extension), heapInUse()
	var flood sync.WaitGroup
	flood.Go(func() {
		for range 1_000_000 {
			forger.send(port)
		}
	})
	hears(t, "the caller, meanwhile", from, calleeTone)
	hears(t, "the callee, meanwhile", to, callerTone)
	flood.Wait()
	hears(t, "the caller", from, calleeTone)
	hears(t, "the callee", to, callerTone)
	if after := heapInUse(); after > before+4<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	from.hangup()
	to.awaitEnd()
	forger.sprayPool()
	forger.gotNothing()
}

// mediaPort returns where the gateway told a phone to send its audio.
func (f *callFloor) mediaPort(t *testing.T, extension string) uint16 {
	t.Helper()
	for _, m := range f.messages(extension) {
		if line := audioLine.FindStringSubmatch(m.Text); !m.Inbound && line != nil {
			port, _ := strconv.ParseUint(line[1], 10, 16)
			return uint16(port)
		}
	}
	t.Fatal("no description was sent")
	return 0
}

// forger is a stranger with a socket.
type forger struct {
	t      *testing.T
	socket *net.UDPConn
	packet [182]byte
	sent   uint64
}

func newForger(t *testing.T) *forger {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	return &forger{t: t, socket: socket}
}

// send sends what looks like SRTP of ever other sources.
func (f *forger) send(port uint16) {
	f.sent++
	f.packet[0], f.packet[1] = 0x80, 0
	binary.BigEndian.PutUint64(f.packet[2:], f.sent*0x9e3779b97f4a7c15)
	f.to(port, f.packet[:])
}

// to sends a packet. Word of a port that is closed to strangers is no fault.
func (f *forger) to(port uint16, packet []byte) {
	_, err := f.socket.WriteToUDPAddrPort(packet, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		f.t.Errorf("spraying: %v", err)
	}
}

// sprayPool sends what a stranger can make to every port: RTP and RTCP, STUN, the beginning of DTLS, and nonsense.
func (f *forger) sprayPool() {
	for round := range 60 {
		packet := []byte{0x80, 0, byte(round), 1, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, byte(round), 1, 2, 3, 4, 5, 6, 7, 8, 'f', 'o', 'r', 'g', 'e', 'd'}
		packet[0] = []byte{0x80, 0x90, 0, 22, 0xff}[round%5]
		packet[1] = []byte{0, 1, 101, 200, 201, 254}[round%6]
		if packet[0] == 0 {
			packet[1], packet[2], packet[3] = 1, 0, 0 // a binding request without attributes
			packet = packet[:20]
		}
		for port := uint16(poolFirst); port <= poolLast; port++ {
			f.to(port, packet)
		}
	}
}

// gotNothing checks that no packet waits at the forger's socket.
func (f *forger) gotNothing() {
	f.t.Helper()
	_ = f.socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, from, err := f.socket.ReadFromUDPAddrPort(make([]byte, 2048)); err == nil {
		f.t.Errorf("the forger got %d bytes from %v", n, from)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
