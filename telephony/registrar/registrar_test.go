package registrar_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func secret(s string) account.Secret { return account.Secret(s) }

func TestRegisterRefreshRemove(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	if reply := f.ask(p.request()); reply.Status != 401 || len(reply.Challenges) != 1 ||
		!strings.Contains(reply.Challenges[0], `realm="pbx.example.org"`) {
		t.Fatalf("%+v", reply)
	}
	reply := p.must(200, expires(600))
	if len(reply.Bindings) != 1 || reply.Bindings[0].URI != p.contact || reply.Bindings[0].Expires != 600 ||
		reply.Date.IsZero() {
		t.Errorf("%+v", reply)
	}
	if len(f.memory.bindings) != 1 {
		t.Error("answered before it was saved")
	}
	found := f.Lookup(t.Context(), alice)
	if len(found) != 1 || found[0].Flows[0].Flow != p.flow {
		t.Errorf("lookup %+v", found)
	}
	p.must(200, expires(600))
	p.must(200, expires(0))
	if got := f.memory.told(); got != "registered 1001, unregistered 1001" {
		t.Errorf("feed: %s", got)
	}
	if len(f.Lookup(t.Context(), alice)) != 0 || len(f.memory.bindings) != 0 {
		t.Error("still there")
	}
	counts := f.Counters().Registers
	if counts["registered"] != 1 || counts["refreshed"] != 1 || counts["removed"] != 1 || counts["challenged"] != 2 {
		t.Errorf("%v", counts)
	}
}

// TestUnknownLooksLikeKnown compares what a stranger sees.
func TestUnknownLooksLikeKnown(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	shape := func(user, domain string, sign bool) string {
		p := f.phone(user, "guess", 1)
		p.aor = telephony.NewAoR(user, domain)
		reply := f.ask(p.request())
		if sign {
			req := p.request()
			p.sign(req, reply)
			reply = f.ask(req)
		}
		before, rest, _ := strings.Cut(strings.Join(reply.Challenges, "|"), `nonce="`)
		nonce, after, _ := strings.Cut(rest, `"`)
		return fmt.Sprint(reply.Status, reply.Reason, reply.RetryAfter, strings.ReplaceAll(before, domain, "D"),
			len(nonce), after)
	}
	for _, sign := range []bool{false, true} {
		known := shape("1001", alice.Domain, sign)
		if !strings.HasPrefix(known, "401") {
			t.Fatal(known)
		}
		for _, other := range [][2]string{{"9999", alice.Domain}, {"1001", "other.example"}, {"a\x00b", alice.Domain},
			{strings.Repeat("9", 500), alice.Domain}} {
			if got := shape(other[0], other[1], sign); got != known {
				t.Errorf("%q signed %v: %s, want %s", other, sign, got, known)
			}
		}
	}
}

func TestWrongPasswordIsToldOnceInAWhile(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	wrong := f.phone("1001", "guess", 1)
	stranger := f.phone("9999", "guess", 2)
	for range 5 {
		wrong.must(401, nil)
		stranger.must(401, nil)
	}
	eventually(t, "the refusal is told", func() bool { return f.memory.told() == "refused 1001 401" })
	f.clock.advance(11 * time.Second)
	wrong.must(401, nil)
	eventually(t, "told again", func() bool { return f.memory.told() == "refused 1001 401, refused 1001 401" })
	c := f.memory.feed[0]
	if c.Account != "acc_1" || !strings.Contains(c.Text, "does not match") || c.Remote == "" || c.Node != "n1" {
		t.Errorf("%+v", c)
	}
}

func TestAnotherUsersAoR(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	p.must(403, func(r *registration.Request) { r.To = telephony.NewAoR("1002", alice.Domain) })
	p.must(403, func(r *registration.Request) { r.From = telephony.NewAoR("1002", alice.Domain) })
	p.must(403, func(r *registration.Request) { // nor remove all of another's
		r.To, r.Star, r.Contacts, r.Expires = telephony.NewAoR("1002", alice.Domain), true, nil, 0
	})
	if len(f.memory.bindings) != 0 {
		t.Error("something was bound")
	}
	eventually(t, "told on the sender's own line", func() bool {
		return strings.HasPrefix(f.memory.told(),
			"refused 1001 403")
	})
}

func TestThirdPartyByPolicy(t *testing.T) {
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.ThirdParty = true })
	f.phone("1001", "one", 1).must(200, func(r *registration.Request) { r.From = telephony.NewAoR("boss", alice.Domain) })
}

func TestRetransmissionGetsIts200Again(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	req := p.request()
	p.sign(req, f.ask(p.request()))
	first, again := f.ask(req), f.ask(req)
	if first.Status != 200 || again.Status != 200 || len(f.memory.feed) != 1 {
		t.Errorf("%d, then %d, %d changes", first.Status, again.Status, len(f.memory.feed))
	}
	stolen := *req
	stolen.Flow = flow(9)
	if reply := f.ask(&stolen); reply.Status != 401 || !strings.Contains(reply.Challenges[0], "stale=true") {
		t.Errorf("a copy from elsewhere got %+v", reply)
	}
	removal := *req
	removal.Expires, removal.CSeq = 0, req.CSeq+1
	if reply := f.ask(&removal); reply.Status != 401 || len(f.memory.bindings) != 1 {
		t.Errorf("a removal with a used answer got %d", reply.Status)
	}
}

func TestNewPasswordWorksAtOnceAndTheOldEnds(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	old := f.phone("1001", "one", 1)
	old.must(200, nil)
	f.memory.set(func(m *memory) { m.passwords["1001"] = "new"; m.version++ })
	eventually(t, "the old password is refused", func() bool { return old.register(nil).Status == 401 })
	f.phone("1001", "new", 2).must(200, nil)
	f.memory.set(func(m *memory) { m.passwords["1001"] = "newer" }) // no version yet: found by asking again
	f.clock.advance(time.Millisecond)
	f.phone("1001", "newer", 3).must(200, nil)
}

// Within the time in which the old hash is still in memory a new one is never refused, and guessing costs few lookups.
func TestNewPasswordWithinTheTick(t *testing.T) {
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Tick = time.Hour })
	f.phone("1001", "one", 1).must(200, nil)
	f.memory.set(func(m *memory) { m.passwords["1001"] = "new" })
	f.clock.advance(time.Millisecond)
	f.phone("1001", "new", 2).must(200, nil)

	for _, user := range []string{"1001", "nobody"} {
		f.clock.advance(time.Minute)
		before := f.memory.lookups
		for n := range uint64(20) {
			f.clock.advance(time.Millisecond)
			f.phone(user, "guess", n+10).must(401, nil)
		}
		if asked := f.memory.lookups - before; asked > 4 {
			t.Errorf("20 guesses at %s asked the directory %d times", user, asked)
		}
	}
	f.clock.advance(time.Second)
	f.memory.set(func(m *memory) { m.passwords["1001"], m.passwords["nobody"] = "newer", "now somebody" })
	f.phone("1001", "newer", 3).must(200, nil)
	f.phone("nobody", "now somebody", 4).must(200, nil)
}

func TestClosedFlowAndReturn(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	p.must(200, nil)
	f.FlowClosed(p.flow)
	eventually(t, "flow_closed", func() bool { return f.memory.told() == "registered 1001, flow_closed 1001" })
	eventually(t, "a closed flow is not found", func() bool { return len(f.Lookup(t.Context(), alice)) == 0 }) // memory follows the store
	p.flow = flow(2)
	p.must(200, nil)
	f.FlowClosed(flow(1)) // late news of the old connection
	p.must(200, nil)
	if got := f.memory.told(); got != "registered 1001, flow_closed 1001, registered 1001" {
		t.Errorf("feed: %s", got)
	}
}

// A phone comes over a new connection while its old one is open (RFC 5626 §4.2.1), and over UDP from another address. Other nodes read
// of bindings what the feed speaks of, so that it has to speak of that, and the store has to know it by then.
func TestAnotherWayIsTold(t *testing.T) {
	for _, transport := range []telephony.Transport{telephony.TLS, telephony.UDP} {
		for _, volatile := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s volatile=%t", transport, volatile), func(t *testing.T) {
				m := newMemory()
				f := newFixture(t, m, func(c *registrar.Config) { c.Volatile = volatile })
				p := f.phone("1001", "one", 1)
				p.instance, p.flow.Transport = "urn:uuid:1", transport
				outbound := func(r *registration.Request) { r.Outbound, r.Contacts[0].RegID = true, 1 }
				p.must(200, outbound)
				p.flow = flow(2)
				p.flow.Transport = transport
				p.must(200, outbound)
				p.must(200, outbound)
				const want = "registered 1001, registered 1001"
				eventually(t, "both ways are told", func() bool { return m.told() == want })
				await(t, m, "the store knows the new way", func() bool {
					for _, b := range m.bindings {
						if b.Flow == p.flow && len(m.bindings) == 1 {
							return true
						}
					}
					return false
				})
				if got := m.told(); got != want {
					t.Errorf("feed: %s", got)
				}
			})
		}
	}
}

// TestRegisterThenCloseInOneTurn sends both while the shard is busy.
func TestRegisterThenCloseInOneTurn(t *testing.T) {
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Shards = 1 })
	for i := range 50 {
		p := f.phone("1001", "one", uint64(100+i))
		req := p.request()
		p.sign(req, f.ask(p.request()))
		done := make(chan struct{})
		f.Register(t.Context(), req, func(registration.Reply) { close(done) })
		f.FlowClosed(p.flow)
		<-done
	}
	eventually(t, "nothing reachable", func() bool { return len(f.Lookup(t.Context(), alice)) == 0 })
}

func TestExpiryIsSwept(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	p.must(200, expires(60))
	f.clock.advance(50 * time.Second)
	p.must(200, expires(60))
	f.clock.advance(50 * time.Second)
	f.ask(f.phone("1001", "", 9).request())
	if got := f.memory.told(); got != "registered 1001" {
		t.Fatalf("feed: %s", got)
	}
	f.clock.advance(11 * time.Second)
	eventually(t, "expired", func() bool { return f.memory.told() == "registered 1001, expired 1001" })
	eventually(t, "forgotten", func() bool { return f.Counters().Bindings == 0 })
}

func TestRestart(t *testing.T) {
	m := newMemory()
	first := newFixture(t, m, nil)
	first.phone("1001", "one", 1).must(200, nil)
	udp := first.phone("1002", "two", 2)
	udp.flow.Transport = telephony.UDP
	udp.must(200, nil)
	short := first.phone("1001", "one", 3)
	short.must(200, expires(60))
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if reply := first.ask(short.request()); reply.Status != 503 || reply.RetryAfter == 0 {
		t.Errorf("after the stop: %+v", reply)
	}
	m.set(func(m *memory) { m.feed = nil })
	second := newFixture(t, m, func(c *registrar.Config) {
		c.Now = func() time.Time { return start.Add(70 * time.Second) }
	})
	told := strings.Split(m.told(), ", ")
	if len(told) != 2 || !strings.Contains(m.told(), "expired 1001") || !strings.Contains(m.told(), "flow_closed 1001") {
		t.Errorf("feed: %s", m.told())
	}
	if len(second.Lookup(t.Context(), udp.aor)) != 1 || len(second.Lookup(t.Context(), alice)) != 0 {
		t.Error("UDP is reachable after a restart, streams are not")
	}
}

// TestVolatile is telephony.bindings: memory: comings and goings are saved after the reply, refreshes are not, a restart
// ends all.
func TestVolatile(t *testing.T) {
	m := newMemory()
	volatile := func(c *registrar.Config) { c.Volatile, c.Shards = true, 1 } // shards save apart: no order between them
	f := newFixture(t, m, volatile)
	stays, leaves := f.phone("1001", "one", 1), f.phone("1002", "two", 2)
	stays.must(200, nil)
	leaves.must(200, nil)
	await(t, m, "both are saved", func() bool { return len(m.bindings) == 2 })
	batches := 0
	m.set(func(m *memory) { batches = len(m.batches) })
	stays.must(200, nil)
	leaves.must(200, expires(0))
	if len(f.Lookup(t.Context(), stays.aor)) != 1 || len(f.Lookup(t.Context(), leaves.aor)) != 0 {
		t.Errorf("in memory %+v", f.Counters())
	}
	await(t, m, "one is gone", func() bool { return len(m.bindings) == 1 })
	m.set(func(m *memory) {
		for _, b := range m.batches[batches:] {
			if len(b.Put) > 0 {
				t.Errorf("a refresh was saved: %+v", b.Put)
			}
		}
	})
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	f = newFixture(t, m, volatile)
	if len(f.Lookup(t.Context(), stays.aor)) != 0 || len(m.bindings) != 0 {
		t.Errorf("a restart kept %+v, saved %+v", f.Lookup(t.Context(), stays.aor), m.bindings)
	}
	if want := "registered 1001, registered 1002, unregistered 1002, expired 1001"; m.told() != want {
		t.Errorf("told %q, want %q", m.told(), want)
	}
}

// TestVolatileBehindTheStore has one phone that cannot be stored, and another that leaves just before the end.
func TestVolatileBehindTheStore(t *testing.T) {
	m := newMemory()
	m.set(func(m *memory) { m.poison = "sip:1001@10.0.0.1" })
	f := newFixture(t, m, func(c *registrar.Config) { c.Volatile, c.Shards = true, 1 })
	f.phone("1001", "one", 1).must(200, nil)
	leaves := f.phone("1002", "two", 2)
	leaves.must(200, nil)
	await(t, m, "the good one is saved", func() bool { return len(m.bindings) == 1 })
	if n := f.Counters().DroppedChanges; n != 1 {
		t.Errorf("%d changes were given up, want the bad phone's one", n)
	}
	leaves.must(200, expires(0))
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.told() != "registered 1002, unregistered 1002" || len(m.bindings) != 0 {
		t.Errorf("told %q, saved %+v", m.told(), m.bindings)
	}
}

func TestOneBadMessageFailsAlone(t *testing.T) {
	m := newMemory()
	f := newFixture(t, m, func(c *registrar.Config) { c.Shards = 1 })
	good, bad := f.phone("1001", "one", 1), f.phone("1002", "two", 2)
	m.set(func(m *memory) { m.poison = bad.contact })
	goodReq, badReq := good.request(), bad.request()
	good.sign(goodReq, f.ask(good.request()))
	bad.sign(badReq, f.ask(bad.request()))
	var wg sync.WaitGroup
	statuses := make([]int, 2)
	m.mu.Lock() // hold the shard so that both arrive in one turn
	for i, req := range []*registration.Request{goodReq, badReq} {
		wg.Add(1)
		f.Register(t.Context(), req, func(r registration.Reply) { statuses[i] = r.Status; wg.Done() })
	}
	m.mu.Unlock()
	wg.Wait()
	if statuses[0] != 200 || statuses[1] != 500 {
		t.Errorf("good %d, bad %d", statuses[0], statuses[1])
	}
	bad.contact = "sip:fine@h"
	bad.must(200, nil)
}

func TestPanicEndsOneRequest(t *testing.T) {
	f := newFixture(t, newMemory(), func(c *registrar.Config) { c.Shards = 1 })
	f.memory.set(func(m *memory) { m.panicOn = "1002" })
	bad := f.phone("1002", "two", 2)
	bad.must(500, nil)
	f.Register(t.Context(), bad.request(), func(registration.Reply) { panic("in the reply") })
	f.phone("1001", "one", 1).must(200, nil)
	if f.Counters().Registers["failed"] != 1 {
		t.Errorf("%v", f.Counters().Registers)
	}
}

func TestFullQueue(t *testing.T) {
	m := newMemory()
	f := newFixture(t, m, func(c *registrar.Config) { c.Shards, c.Queue = 1, 4 })
	m.mu.Lock() // the worker waits for the directory
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for range 100 {
		wg.Add(1)
		req := f.phone("1001", "one", 1).request()
		req.Authorize = []string{authorization("1001", alice.Domain, "guess", "nonce", 1)}
		f.Register(t.Context(), req, func(r registration.Reply) {
			mu.Lock()
			defer mu.Unlock()
			if got[r.Status]++; r.Status == 503 && r.RetryAfter == 0 {
				t.Error("503 without Retry-After")
			}
			wg.Done()
		})
	}
	m.mu.Unlock()
	wg.Wait()
	if got[503] < 90 || got[401]+got[503] != 100 {
		t.Errorf("%v", got)
	}
}

func TestMalformedAuthorization(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	p := f.phone("1001", "one", 1)
	req := p.request()
	req.Authorize = []string{"Digest nonsense"}
	if reply := f.ask(req); reply.Status != 400 {
		t.Errorf("%+v", reply)
	}
	req = p.request()
	p.sign(req, f.ask(p.request()))
	req.Authorize = append([]string{authorization("x", "other realm", "y", "z", 1)}, req.Authorize...)
	if reply := f.ask(req); reply.Status != 200 {
		t.Errorf("an answer for another realm stands first: %+v", reply)
	}
}

func TestOffers(t *testing.T) {
	f := newFixture(t, newMemory(), func(c *registrar.Config) {
		c.Offers = func(realm, listener string) []digest.Algorithm {
			return []digest.Algorithm{digest.SHA256, digest.MD5}
		}
	})
	p := f.phone("1001", "one", 1)
	if reply := f.ask(p.request()); len(reply.Challenges) != 2 {
		t.Errorf("%q", reply.Challenges)
	}
	p.must(200, nil) // the directory holds MD5 alone
}

// TestAnswerWithoutHash signs as one who knows that there is no hash for unknown users.
func TestAnswerWithoutHash(t *testing.T) {
	f := newFixture(t, newMemory(), nil)
	for _, ha1 := range []string{"", strings.Repeat("0", 32)} {
		p := f.phone("9999", "", 1)
		req := p.request()
		_, rest, _ := strings.Cut(f.ask(p.request()).Challenges[0], `nonce="`)
		nonce, _, _ := strings.Cut(rest, `"`)
		response := digest.MD5.Sum(ha1 + ":" + nonce + ":00000001:abc:auth:" + digest.MD5.Sum("REGISTER:sip:x"))
		req.Authorize = []string{fmt.Sprintf(`Digest username="9999",realm=%q,nonce=%q,uri="sip:x",response=%q,qop=auth,`+
			`nc=00000001,cnonce="abc"`, alice.Domain, nonce, response)}
		if reply := f.ask(req); reply.Status != 401 {
			t.Fatalf("status %d", reply.Status)
		}
	}
}

func TestManyPhonesAtOnce(t *testing.T) {
	m := newMemory()
	for i := range 200 {
		m.passwords[fmt.Sprint(5000+i)] = "x"
	}
	f := newFixture(t, m, nil)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			p := f.phone(fmt.Sprint(5000+i), "x", uint64(1+i))
			p.contact = fmt.Sprintf("sip:p%d@h", i)
			for range 3 {
				if reply := p.register(nil); reply.Status != 200 {
					t.Errorf("%s: %d", p.contact, reply.Status)
				}
			}
			f.FlowClosed(p.flow)
		})
	}
	wg.Wait()
	eventually(t, "all closed", func() bool { return strings.Count(m.told(), "flow_closed") == 200 })
	if n := strings.Count(m.told(), "registered"); n != 200 {
		t.Errorf("%d registered", n)
	}
}

func TestStopAnswersWhatWaits(t *testing.T) {
	m := newMemory()
	f := newFixture(t, m, nil)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Add(1)
		p := f.phone("1001", "one", uint64(1+i))
		f.Register(context.Background(), p.request(), func(registration.Reply) { wg.Done() })
	}
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// A binding stands for its user's proof as long as the credential is there that it was made with, and no longer.
func TestProofOfABindingEndsWithTheCredential(t *testing.T) {
	for _, volatile := range []bool{false, true} {
		m := newMemory()
		f := newFixture(t, m, func(c *registrar.Config) { c.Volatile = volatile })
		p := f.phone("1001", "one", 1)
		p.must(200, nil)
		p.must(200, nil) // a refresh
		calls := func() authentication.Verdict {
			b, ok := f.Standing(p.aor, p.flow)
			if !ok || b.Proof == 0 {
				t.Fatalf("%+v", b)
			}
			return f.Authenticate(t.Context(), authentication.Credentials{Method: "INVITE", Flow: p.flow, User: p.aor, Proof: b.Proof})
		}
		if v := calls(); !v.OK || v.User.Account != "acc_1" || v.Reply.Sender != registration.Unproven {
			t.Errorf("%+v", v)
		}
		refused := func(what string) {
			t.Helper()
			eventually(t, what, func() bool { return !calls().OK })
			if v := calls(); v.Reply.Status != 401 || len(v.Reply.Challenges) == 0 || !v.User.AoR.IsZero() {
				t.Errorf("%s: %+v", what, v)
			}
		}
		m.set(func(m *memory) { m.passwords["1001"] = "another"; m.version++ })
		refused("he is refused once his password is another one")
		p.password, p.nonce = "another", ""
		p.must(200, nil)
		if v := calls(); !v.OK {
			t.Errorf("with the new password: %+v", v)
		}
		m.set(func(m *memory) { delete(m.passwords, "1001"); m.version++ })
		refused("he is refused once he has been removed")
		m.set(func(m *memory) { m.passwords["1001"] = "another"; m.version++ })
		eventually(t, "he is back", func() bool { return calls().OK })
	}
}

// A binding that was stored under its instance as the phone wrote it gives way to the same phone's, and is kept as it is until then.
func TestInstanceOfAnEarlierVersion(t *testing.T) {
	m := newMemory()
	const written, canonical = "urn:uuid:0A-0B", "urn:uuid:0a-0b"
	old := registration.Binding{Account: "acc_1", Node: "n1", AoR: telephony.NewAoR("1001", alice.Domain), Key: "instance:" + written + ";reg-id=1",
		Contact: "sip:1001@10.0.0.1", Instance: written, RegID: 1, Q: 1000, CallID: "old", CSeq: 1, Flow: telephony.Flow{ID: 77, Listener: "udp",
			Transport: telephony.UDP, Remote: flow(1).Remote}, Reachable: true, RegisteredAt: start, RefreshedAt: start, Expires: start.Add(time.Hour), Row: 1}
	m.bindings[old.ID()] = old
	f := newFixture(t, m, nil)
	stands := func(want string) {
		t.Helper()
		if all := f.Lookup(t.Context(), old.AoR); len(all) != 1 || all[0].Instance != want || len(all[0].Flows) != 1 {
			t.Errorf("%+v", all)
		}
	}
	stands(written)
	p := f.phone("1001", "one", 1)
	for i, instance := range []string{written, canonical, strings.ToUpper(canonical)} {
		p.instance = instance
		reply := p.must(200, func(r *registration.Request) { r.Outbound, r.Contacts[0].RegID = true, 1 })
		if len(reply.Bindings) != 1 || reply.Bindings[0].Instance != instance {
			t.Errorf("%d: %+v", i, reply.Bindings)
		}
		stands(instance)
		m.mu.Lock()
		if len(m.bindings) != 1 {
			t.Errorf("%d are stored: %+v", len(m.bindings), m.bindings)
		}
		m.mu.Unlock()
	}
	if strings.Contains(m.told(), "displaced") {
		t.Error(m.told())
	}
}
