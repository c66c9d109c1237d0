package calls_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"demarc/internal/seal/sealtest"
	"demarc/store"
	"demarc/store/calls"
	"demarc/telephony"
)

// BenchmarkWrite writes calls that are over, a batch at a time as the exchange does. What it costs the process is told too: a
// commit waits for the disk.
func BenchmarkWrite(b *testing.B) {
	const users, batch = 64, 100
	db, err := store.Open(b.Context(), store.Config{URL: "sqlite:" + b.TempDir() + "/demarc.db"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	err = db.Write(b.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(b.Context(), `INSERT INTO account (account_id, domain, name, created_at) VALUES ('acct_1', 'example.org', '', 0)`)
		return err
	})
	if err != nil {
		b.Log(err)
	}
	s := calls.New(db, sealtest.New(b))
	before := used(b)
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		all := make([]telephony.CallChange, 0, batch)
		for i := n; i < n+batch; i++ {
			c := ended(change("acct_1", callID(i), fmt.Sprintf("2%03d", i%users), i/1000), 200)
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

func callID(i int) string {
	if os.Getenv("ORDERED") != "" {
		return fmt.Sprintf("%012x%012x", 1790000000000+i/2, rand.Uint64()>>16)
	}
	return fmt.Sprintf("%08x%016x", rand.Uint32(), rand.Uint64())
}
