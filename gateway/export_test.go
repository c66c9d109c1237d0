package gateway

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// ToSync is for the table of which connector is synced.
var ToSync = toSync

// Silence is what people are told of a phone that did not answer.
var Silence = silence

// Health serves what says whether a process lives.
func Health(ask string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	(&Gateway{}).healthHandler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, ask, nil))
	return answer
}

// OwnAddress is for the table of addresses that media can have.
var OwnAddress = ownAddress

// Limit is for tests of the bounds of an HTTP listener.
var Limit = limit

// Refused returns how many connections were closed as they came.
func (l *limited) Refused() uint64 { return l.refused.Load() }

// Failing runs a step every so often until the function that it returns is called, which returns how often it was counted as failed.
func Failing(log *slog.Logger, interval time.Duration, step func(context.Context) error) func() uint64 {
	l := &lifecycle{log: log}
	l.every("test", interval, step)
	return func() uint64 {
		_ = l.stop(context.Background())
		n, _ := l.failures.Load("test")
		return n.(*atomic.Uint64).Load()
	}
}

// NewUnused, Note and Close are for tests of connections without a request.
var NewUnused = newUnused

func (u *unused) Note(c net.Conn, state http.ConnState) { u.note(c, state) }
func (u *unused) Close()                                { u.close() }

// GarbagePercent is for the table of the collector's settings.
var GarbagePercent = garbagePercent

// Room and GarbageOf are for tables of what memory allows.
var (
	Room      = room
	GarbageOf = garbageOf
)

// NewNotes, Run and Dropped are for tests of what is written behind calls.
var NewNotes = newNotes

func (n *notes) Run(ctx context.Context) error { return n.run(ctx) }
func (n *notes) Dropped() uint64               { return n.dropped.Load() }

// Protect is for tests of how media is protected while the directory is away.
func Protect(users userSettings, all sdp.Policy, notes interface {
	Note(aor telephony.AoR, e timeline.Entry)
}, log *slog.Logger, way signal.Way) sdp.Policy {
	policy, _ := (&protection{users: users, all: all, notes: notes, now: time.Now, log: log}).of("acc_1", way)
	return policy
}

// Idle returns how a collector tells that nothing was done between two looks.
func Idle() func(allocated uint64, used time.Duration) bool { return new(collector).idle }
