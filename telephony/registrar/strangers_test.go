package registrar_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// slow is a directory that takes its time about who is not there.
type slow struct{ *memory }

func (s slow) Subscriber(ctx context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	d, err := s.memory.Subscriber(ctx, aor)
	if errors.Is(err, authentication.ErrUnknown) {
		time.Sleep(10 * time.Millisecond)
	}
	return d, err
}

// Strangers guess at users that nobody has heard of, each of which costs a look into the directory: phones that are known
// do not wait behind them, and all strangers are answered in the end.
func TestStrangersDoNotStandBeforeKnownPhones(t *testing.T) {
	m := newMemory()
	f := newFixture(t, m, func(c *registrar.Config) { c.Shards, c.Directory = 1, slow{m} })
	known := f.phone("1001", "one", 1)
	known.must(200, nil)
	const strangers = 400
	var answered, refused atomic.Int32
	var all sync.WaitGroup
	for i := range strangers {
		aor := telephony.NewAoR(fmt.Sprint("7", i), alice.Domain)
		all.Add(1)
		f.Register(t.Context(), &registration.Request{Flow: flow(9), To: aor, From: aor, CallID: "c", CSeq: 1, Expires: -1,
			Authorize: []string{authorization(aor.User, aor.Domain, "guess", "nonce", 1)}},
			func(r registration.Reply) {
				defer all.Done()
				answered.Add(1)
				if r.Status != 401 {
					refused.Add(1)
				}
			})
	}
	for range 3 {
		known.must(200, nil)
	}
	if n := answered.Load(); n > strangers*3/4 {
		t.Errorf("%d of %d strangers were served before a phone that is known", n, strangers)
	}
	all.Wait()
	if n := refused.Load(); n > 0 {
		t.Errorf("%d strangers got no challenge", n)
	}
}

// Whoever makes up phones of one user fills neither the store nor the user's timeline.
func TestRefusalsOfOneUserAreFew(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "guessed", 1)
	for i := range 60 {
		p.instance = fmt.Sprintf("urn:uuid:%d", i)
		p.must(401, nil)
	}
	other := f.phone("1002", "guessed", 2)
	other.must(401, nil)
	rows := func(user string) (n int) {
		f.memory.set(func(m *memory) {
			for _, c := range m.feed {
				if c.AoR.User == user {
					n++
				}
			}
		})
		return n
	}
	eventually(t, "the other user's refusal is told", func() bool { return rows("1002") == 1 })
	if n := rows("1001"); n == 0 || n > 8 {
		t.Errorf("%d rows about one user", n)
	}
	f.clock.advance(11 * time.Second)
	p.must(401, nil)
	eventually(t, "a later one is told", func() bool { return rows("1001") > 8 })
}

// A phone that comes and goes behind a NAT leaves no count of its unanswered probes.
func TestProbesOfTheGoneAreForgotten(t *testing.T) {
	p := &prober{asked: make(map[string]int), dead: make(map[string]bool)}
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Prober, c.ProbeEvery = p, 20*time.Second })
	phone := f.phone("1001", "one", 1)
	phone.flow.Transport = telephony.UDP
	for i := range 3 {
		uri := fmt.Sprintf("sip:1001@10.0.0.9:%d", 6000+i)
		p.mu.Lock()
		p.dead[uri] = true
		p.mu.Unlock()
		phone.must(200, func(r *registration.Request) { r.Contacts[0].URI = uri })
		f.clock.advance(21 * time.Second)
		eventually(t, "the miss is counted", func() bool { return f.Misses() == 1 })
		phone.must(200, func(r *registration.Request) { r.Contacts[0].URI, r.Expires = uri, 0 })
		eventually(t, "it is forgotten", func() bool { return f.Misses() == 0 })
	}
}
