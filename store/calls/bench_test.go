package calls_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"demarc/internal/seal/sealtest"
	"demarc/store"
	"demarc/store/calls"
	"demarc/store/storetest"
	"demarc/telephony"
)

// BenchmarkWrite writes calls that are over, a batch at a time as the exchange does. What it costs this process is told too: a
// commit waits for the disk, and PostgreSQL is another process.
func BenchmarkWrite(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkWrite(b, storetest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { benchmarkWrite(b, storetest.PostgreSQL(b)) })
}

func benchmarkWrite(b *testing.B, db *store.DB) {
	const users, batch = 64, 400
	id := storetest.Account(b, db, "example.org")
	s := calls.New(db, sealtest.New(b))
	before := used(b)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		all := make([]telephony.CallChange, 0, batch)
		for i := n; i < n+batch; i++ {
			c := ended(change(id, fmt.Sprintf("%012x%012x", store.Millis(begin)+int64(i), rand.Uint64()>>16), fmt.Sprintf("2%03d", i%users), i/1000), 200)
			c.Record.Caller = aor(fmt.Sprintf("1%03d", i%users))
			c.Record.Legs[0].AoR = c.Record.Caller
			all = append(all, c)
		}
		if err := s.Write(context.Background(), all); err != nil {
			b.Fatal(err)
		}
	}
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
