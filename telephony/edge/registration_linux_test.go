package edge_test

import (
	"bytes"
	"context"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registrar"
	"demarc/telephony/trace"
)

// threadTime returns how long this thread has run: what else the machine does is not in it.
func threadTime(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkRegistration is what a REGISTER costs between the system's calls: its challenge, the answer to that, and the 200,
// with digest, trace and bindings in memory. The phones' own work is not in it.
func BenchmarkRegistration(b *testing.B) {
	const phones, together, addresses = 9728, 32, 8
	directory := ownPassword{"example.com"}
	r := registrar.New(registrar.Config{Node: "n", Directory: directory, Bindings: directory, Volatile: true})
	if err := r.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = r.Stop(context.Background()) }()
	e, err := edge.New(edge.Config{
		Listeners: []edge.Listener{{Name: "udp", Transport: telephony.UDP, Address: "127.0.0.1:0"}},
		Trace:     trace.NewRecorder(32 << 20), Limits: edge.Limits{Admission: 1 << 20, UDPReplies: 1 << 20},
	})
	if err != nil {
		b.Fatal(err)
	}
	var feeds [addresses]func([][]byte, netip.AddrPort) [][]byte
	for i := range feeds {
		feeds[i] = edge.Feed(e, r)
	}
	all := make([]*benchPhone, phones)
	for i := range all {
		all[i] = newBenchPhone(strconv.Itoa(100_000 + i))
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var took time.Duration
	batch := make([][]byte, together)
	turn := func(n int) {
		some, from := all[n*together%phones:][:together], netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(40_000+n%addresses))
		ask := func(status string) [][]byte {
			began := threadTime(b)
			answers := feeds[n%addresses](batch, from)
			took += threadTime(b) - began
			for _, a := range answers {
				if !bytes.HasPrefix(a, []byte("SIP/2.0 "+status)) {
					b.Fatalf("not %s: %s", status, a)
				}
			}
			if len(answers) != together {
				b.Fatalf("%d answers", len(answers))
			}
			return answers
		}
		for i := range some {
			batch[i] = some[i].request("")
		}
		for i, challenge := range ask("401") {
			some[i].learn(challenge)
			batch[i] = some[i].signed()
		}
		ask("200")
	}
	const round = 8
	for n := range 2 * phones / together { // everybody is known then
		turn(n)
	}
	n, best := 0, time.Duration(1<<62)
	for b.Loop() { // of so many each, few enough that some meet nothing else that runs: the quickest says what it costs
		took = 0
		for range round {
			turn(n)
			n++
		}
		best = min(best, took)
	}
	b.ReportMetric(float64(best.Nanoseconds())/(round*together), "ns/registration")
}
