package registrar_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

var (
	rules = registration.Rules{MinExpires: time.Minute, DefaultExpires: time.Hour, MaxExpires: 2 * time.Hour, Contacts: 3}
	start = time.Unix(1_700_000_000, 0)
	alice = telephony.NewAoR("1001", "pbx.example.org")
)

func flow(id uint64) telephony.Flow {
	return telephony.Flow{ID: id, Listener: "tls", Transport: telephony.TLS,
		Remote: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(30000+id))}
}

// memory is a directory and a store in one, with faults on demand.
type memory struct {
	mu        sync.Mutex
	passwords map[string]string
	version   int64
	lookups   int
	bindings  map[registration.Key]registration.Binding
	feed      []telephony.RegistrationChange
	batches   []registrar.Batch
	away      bool
	most      int    // rows that it saves before its time is up; 0: any number
	poison    string // a contact that cannot be stored
	panicOn   string // a user whose lookup panics
}

func newMemory() *memory {
	return &memory{
		passwords: map[string]string{"1001": "one", "1002": "two"},
		bindings:  make(map[registration.Key]registration.Binding),
	}
}

func (m *memory) Domains(context.Context) (map[string]authentication.Domain, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, registrar.ErrStoreAway
	}
	return map[string]authentication.Domain{alice.Domain: {Account: "acc_1", Realm: alice.Domain}}, nil
}

func (m *memory) Subscriber(_ context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups++
	if m.away {
		return authentication.Subscriber{}, registrar.ErrStoreAway
	}
	if m.panicOn != "" && aor.User == m.panicOn {
		panic("injected")
	}
	password, ok := m.passwords[aor.User]
	if !ok || aor.Domain != alice.Domain {
		return authentication.Subscriber{}, authentication.ErrUnknown
	}
	return authentication.Subscriber{Account: "acc_1", AoR: aor, AuthUsername: aor.User, Hashes: []digest.Hash{
		digest.NewHash(digest.MD5, aor.User, aor.Domain, "pw-"+secret(password)),
	}}, nil
}

func (m *memory) Version(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return 0, registrar.ErrStoreAway
	}
	return m.version, nil
}

func (m *memory) Load(context.Context, string) ([]registration.Binding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.bindings)), nil
}

func (m *memory) Save(_ context.Context, b registrar.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return registrar.ErrStoreAway
	}
	if m.most > 0 && len(b.Put)+len(b.Prolong)+len(b.Remove)+len(b.Changes) > m.most {
		return context.DeadlineExceeded
	}
	seen := map[registration.Key]bool{}
	for _, p := range b.Put {
		if m.poison != "" && p.Contact == m.poison {
			return fmt.Errorf("cannot be stored: %q", p.Contact)
		}
		if seen[p.ID()] {
			return fmt.Errorf("key twice: %v", p.ID())
		}
		seen[p.ID()] = true
	}
	for _, p := range b.Prolong { // nothing else may have changed
		then := m.bindings[p.ID()]
		then.CSeq, then.RefreshedAt, then.Expires, then.Proof = p.CSeq, p.RefreshedAt, p.Expires, p.Proof
		if then != *p || p.Row == 0 || seen[p.ID()] {
			return fmt.Errorf("not the binding that is stored: %+v, stored %+v", *p, m.bindings[p.ID()])
		}
	}
	for _, p := range b.Put {
		m.bindings[p.ID()] = p
	}
	for _, p := range b.Prolong {
		m.bindings[p.ID()] = *p
	}
	for _, k := range b.Remove {
		delete(m.bindings, k.Key)
	}
	m.feed = append(m.feed, b.Changes...)
	b.Prolong = slices.Clone(b.Prolong)
	for i, p := range b.Prolong { // it is good for this call alone
		kept := *p
		b.Prolong[i] = &kept
	}
	m.batches = append(m.batches, b)
	return nil
}

func (m *memory) set(change func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

// told returns the feed as "kind user" lines.
func (m *memory) told() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	for _, c := range m.feed {
		line := string(c.Kind) + " " + c.AoR.User
		if c.Code != 0 {
			line += fmt.Sprintf(" %d", c.Code)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, ", ")
}

// clock is a time that tests move.
type clock struct{ offset, ahead atomic.Int64 }

func (c *clock) now() time.Time         { return start.Add(c.elapsed() + time.Duration(c.ahead.Load())) }
func (c *clock) elapsed() time.Duration { return time.Duration(c.offset.Load()) }

// advance lets time pass, set sets the clock.
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }
func (c *clock) set(d time.Duration)     { c.ahead.Add(int64(d)) }

type fixture struct {
	*registrar.Registrar
	t      *testing.T
	memory *memory
	clock  *clock
}

func newFixture(t *testing.T, m *memory, change func(*registrar.Config)) *fixture {
	t.Helper()
	c := &clock{}
	config := registrar.Config{Node: "n1", Directory: m, Bindings: m, Rules: rules, Now: c.now, Elapsed: c.elapsed,
		Tick:   5 * time.Millisecond,
		Shards: 3, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&config)
	}
	r := registrar.New(config)
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return &fixture{Registrar: r, t: t, memory: m, clock: c}
}

// ask sends one request and waits for its reply.
func (f *fixture) ask(req *registration.Request) registration.Reply {
	f.t.Helper()
	replies := make(chan registration.Reply, 2)
	f.Register(f.t.Context(), req, func(r registration.Reply) { replies <- r })
	select {
	case r := <-replies:
		return r
	case <-time.After(20 * time.Second):
		f.t.Fatal("no reply")
		return registration.Reply{}
	}
}

// phone is a softphone that answers challenges.
type phone struct {
	f        *fixture
	aor      telephony.AoR
	password string
	contact  string
	instance string
	flow     telephony.Flow
	cseq     uint32
	nonce    string
	nc       int
}

func (f *fixture) phone(user, password string, flowID uint64) *phone {
	aor := telephony.NewAoR(user, alice.Domain)
	return &phone{f: f, aor: aor, password: password, flow: flow(flowID),
		contact: fmt.Sprintf("sip:%s@10.0.0.%d", user, flowID)}
}

func (p *phone) request() *registration.Request {
	p.cseq++
	return &registration.Request{Flow: p.flow, Domain: p.aor.Domain, To: p.aor, From: p.aor, CallID: "call of " + p.contact,
		CSeq: p.cseq, Expires: -1, UserAgent: "phone",
		Contacts: []registration.Contact{{URI: p.contact, Instance: p.instance, Q: 1000, Expires: -1}}}
}

// sign answers the challenge of the reply, or counts the last nonce up.
func (p *phone) sign(req *registration.Request, reply registration.Reply) {
	if len(reply.Challenges) > 0 {
		_, rest, _ := strings.Cut(reply.Challenges[0], `nonce="`)
		p.nonce, _, _ = strings.Cut(rest, `"`)
		p.nc = 0
	}
	p.nc++
	req.Authorize = []string{authorization(p.aor.User, p.aor.Domain, p.password, p.nonce, p.nc)}
}

func authorization(user, realm, password, nonce string, nc int) string {
	ha1 := digest.MD5.Sum(user + ":" + realm + ":pw-" + password)
	response := digest.MD5.Sum(fmt.Sprintf("%s:%s:%08x:abc:auth:%s", ha1, nonce, nc, digest.MD5.Sum("REGISTER:sip:x")))
	return fmt.Sprintf(`Digest username=%q,realm=%q,nonce=%q,uri="sip:x",response=%q,qop=auth,nc=%08x,cnonce="abc"`,
		user, realm, nonce, response, nc)
}

// register does what a phone does: ask, answer the challenge.
func (p *phone) register(change func(*registration.Request)) registration.Reply {
	p.f.t.Helper()
	var reply registration.Reply
	for range 2 {
		req := p.request()
		if change != nil {
			change(req)
		}
		if p.nonce != "" || reply.Status == 401 {
			p.sign(req, reply)
		}
		if reply = p.f.ask(req); reply.Status != 401 {
			break
		}
	}
	return reply
}

func (p *phone) must(status int, change func(*registration.Request)) registration.Reply {
	p.f.t.Helper()
	reply := p.register(change)
	if reply.Status != status {
		p.f.t.Fatalf("%s: status %d %q, want %d", p.contact, reply.Status, reply.Reason, status)
	}
	return reply
}

func expires(seconds int) func(*registration.Request) {
	return func(r *registration.Request) { r.Expires = seconds }
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// await polls until the condition holds of what is saved.
func await(t *testing.T, m *memory, what string, condition func() bool) {
	t.Helper()
	eventually(t, what, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return condition()
	})
}
