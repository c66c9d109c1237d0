package calls_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"demarc/internal/account"
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
			all = append(all, short(id, i, fmt.Sprintf("1%03d", i%users), fmt.Sprintf("2%03d", i%users)))
		}
		if _, err := s.Write(context.Background(), all); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(used(b)-before)/float64(time.Microsecond)/float64(b.N), "cpu-µs/op")
}

// short is a call without talk time, as sipp and phones make them.
func short(id account.ID, i int, from, to string) telephony.CallChange {
	at := begin.Add(time.Duration(i) * time.Millisecond)
	c := telephony.CallRecord{Account: id, ID: telephony.CallID(fmt.Sprintf("%s%012x", telephony.FirstCallID(at), rand.Uint64()>>16)),
		Node: "node-1", State: telephony.CallEnded, Caller: aor(from), Dialled: "sip:" + to + "@example.org", StartedAt: at,
		AnsweredAt: at.Add(5 * time.Millisecond), EndedAt: at.Add(12 * time.Millisecond),
		Cause: telephony.Cause{Who: telephony.Caller, Code: 200, Text: "hung up"}}
	for leg, user := range []string{from, to} {
		c.Legs = append(c.Legs, telephony.LegRecord{Leg: leg + 1, AoR: aor(user), Instance: "urn:uuid:00000000-0000-1000-8000-00000000" + user,
			Phone: "Desk", Remote: "192.0.2.1:50600", SIPCallID: "c0eb4fd01a869616fee23a23", StartedAt: c.StartedAt,
			AnsweredAt: c.AnsweredAt, EndedAt: c.EndedAt, Cause: c.Cause, Media: telephony.MediaReport{Security: "none", Codec: "PCMU/8000"}})
	}
	return telephony.CallChange{Record: c}
}

// used is the processor time of the process so far.
func used(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
