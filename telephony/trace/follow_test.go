package trace_test

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"demarc/telephony"
	"demarc/telephony/trace"
)

// crowd is a recorder in which phones and strangers have said much.
func crowd(t *testing.T) (r *trace.Recorder, last uint64) {
	t.Helper()
	r = trace.NewRecorder(4 << 20)
	for i := range 5000 {
		text := fmt.Sprintf("OPTIONS sip:pbx.test SIP/2.0\r\nCall-ID: c%d\r\n%s\r\n", i%7, strings.Repeat("X: y\r\n", i%400))
		m := trace.Message{AoR: telephony.NewAoR(fmt.Sprint(i%60), "pbx.test"), Known: i%3 != 0, Text: []byte(text)}
		if i%2 == 0 {
			m.Answer = fmt.Appendf(nil, "SIP/2.0 200 OK\r\nCall-ID: c%d\r\n\r\n", i%7)
		}
		r.Record(m)
	}
	for i := range 60 {
		for _, e := range r.Of(telephony.NewAoR(fmt.Sprint(i), "pbx.test"), 0) {
			last = max(last, e.Seq)
		}
	}
	if last == 0 {
		t.Fatal("nothing is remembered")
	}
	return r, last
}

// Whatever number is read on from, what follows it is what stands behind it in everything.
func TestReadingOnIsReadingTheRest(t *testing.T) {
	r, last := crowd(t)
	rest := func(all []trace.Entry, after uint64) (seqs []uint64) {
		for _, e := range all {
			if e.Seq > after {
				seqs = append(seqs, e.Seq)
			}
		}
		return seqs
	}
	aor := telephony.NewAoR("17", "pbx.test")
	call, own := r.Call("pbx.test", "c3", 0), r.Of(aor, 0)
	if len(call) < 50 || len(own) < 5 {
		t.Fatalf("%d and %d are remembered", len(call), len(own))
	}
	for back := uint64(0); back < 5200; back += 13 {
		after := last + 3 - back
		if got, want := rest(r.Call("pbx.test", "c3", after), 0), rest(call, after); !slices.Equal(got, want) {
			t.Fatalf("of a call, after %d of %d: %d, not %d", after, last, got, want)
		}
		if got, want := rest(r.Of(aor, after), 0), rest(own, after); !slices.Equal(got, want) {
			t.Fatalf("of a phone, after %d of %d: %d, not %d", after, last, got, want)
		}
	}
}

// What is said while somebody reads must not be missed because it stood where he had looked already.
func TestWhoFollowsMissesNothing(t *testing.T) {
	r := trace.NewRecorder(8 << 20)
	const all = 20_000
	said := make(chan struct{})
	var read atomic.Int64 // the last message that was heard
	go func() {
		defer close(said)
		for i := range all {
			for int64(i)-read.Load() > 1000 { // of each phone the last 64 are remembered
				runtime.Gosched()
			}
			r.Record(trace.Message{AoR: telephony.NewAoR(fmt.Sprint(i%40), "pbx.test"), Known: true, Text: fmt.Appendf(nil, "X %d\r\nCall-ID: c\r\n\r\n", i)})
		}
	}()
	heard, after := map[string]bool{}, uint64(0)
	for over := false; !over; {
		select {
		case <-said:
			over = true // and once more
		default:
		}
		for _, e := range r.Call("pbx.test", "c", after) {
			line, _, _ := strings.Cut(string(e.Text), "\r\n")
			heard[line], after = true, e.Seq
			n, _ := strconv.ParseInt(strings.TrimPrefix(line, "X "), 10, 64)
			read.Store(n)
		}
	}
	for i := range all {
		if !heard[fmt.Sprintf("X %d", i)] {
			t.Fatalf("message %d of %d was missed: %d were heard", i, all, len(heard))
		}
	}
}

// Who follows asks several times a second, mostly for nothing: that must not read all that is remembered, while phones wait.
func TestWhoFollowsCostsLittle(t *testing.T) {
	r, last := crowd(t)
	if n := testing.AllocsPerRun(10, func() { r.Find(trace.Question{Domain: "pbx.test", Of: "17", After: last}) }); n > 20 {
		t.Errorf("%.0f allocations for nothing new", n)
	}
}

// BenchmarkFollow asks for what is new, where nothing is.
func BenchmarkFollow(b *testing.B) {
	r := trace.NewRecorder(32 << 20)
	text := []byte("REGISTER sip:pbx.test SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK\r\nCall-ID: c\r\n" + strings.Repeat("X: y\r\n", 80) + "\r\n")
	for i := range 60_000 {
		r.Record(trace.Message{AoR: telephony.NewAoR(fmt.Sprint(i%6000), "pbx.test"), Known: true, Text: text})
	}
	page := r.Find(trace.Question{Domain: "pbx.test", Of: "17"})
	last := page.Entries[len(page.Entries)-1].Seq + 100_000
	b.ReportAllocs()
	for b.Loop() {
		if page := r.Find(trace.Question{Domain: "pbx.test", Of: "17", After: last}); len(page.Entries) != 0 {
			b.Fatal(len(page.Entries))
		}
	}
}
