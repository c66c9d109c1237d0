package media_test

import (
	"context"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/media"
	"demarc/telephony/sdp"
)

// BenchmarkShortCall opens, agrees on and closes the two legs of calls without talk time, 5,000 of them in a second as a busy node does:
// ports rest, so that their pace matters. What counts is the processor time, of the loop too.
func BenchmarkShortCall(b *testing.B) {
	m, err := media.New(media.Config{Ports: media.PortRange{First: 20000, Last: 29999}, Loops: 1})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { m.Serve(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	local := netip.MustParseAddr("127.0.0.1")
	agreed := sdp.Agreed{Security: sdp.Plain, Signalled: local, Audio: sdp.Stream{
		Remote: netip.AddrPortFrom(local, 9), RemoteRTCP: netip.AddrPortFrom(local, 10), Direction: sdp.SendRecv, Codec: sdp.Codec{Name: "PCMU", Rate: 8000},
	}}
	const pace, together = 10 * time.Millisecond, 50
	next := telephony.MediaID(0)
	calls := func(n int) {
		for begin := time.Now(); n > 0; n -= together {
			first := next
			for range 2 * min(n, together) {
				next++
				if _, err := m.Open(telephony.MediaOpening{ID: next, Listener: "udp", Peer: local, Open: true}); err != nil {
					b.Fatal(err)
				}
				if err := m.Agree(next, agreed); err != nil {
					b.Fatal(err)
				}
			}
			for id := first + 1; id <= next; id += 2 {
				m.Relay(id, id+1)
				m.Close(id)
				m.Close(id + 1)
			}
			begin = begin.Add(pace)
			time.Sleep(time.Until(begin))
		}
	}
	calls(2000) // until ports have rested
	before := used(b)
	b.ReportAllocs()
	b.ResetTimer()
	calls(b.N)
	b.ReportMetric(float64(used(b)-before)/float64(time.Microsecond)/float64(b.N), "cpu-µs/op")
}

// used is the processor time of the process so far.
func used(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
