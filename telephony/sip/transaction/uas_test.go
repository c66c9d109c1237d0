package transaction_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"demarc/internal/wheel"
	"demarc/telephony"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/sip/transaction"
	"demarc/telephony/wire"
)

// wirePeer notes what went out.
type wirePeer struct {
	mu   sync.Mutex
	sent []string
	over []string // what was told of final responses
	dead bool     // there is no way
}

func (p *wirePeer) Answered(method string, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = append(p.over, fmt.Sprint(method, " ", status))
}

// answers returns what was told of final responses.
func (p *wirePeer) answers() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.over, ", ")
}

func (p *wirePeer) Send(b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false
	}
	p.sent = append(p.sent, string(b))
	return true
}

func (p *wirePeer) die(dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = dead
}

func (p *wirePeer) statuses() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, s := range p.sent {
		all = append(all, s[8:11])
	}
	return strings.Join(all, " ")
}

// first returns the RSeq of the first reliable response that was sent, or 0.
func (p *wirePeer) first() uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.sent {
		if n := rseqOf(s); n > 0 {
			return n
		}
	}
	return 0
}

func rseqOf(response string) (n uint32) {
	_, rest, _ := strings.Cut(response, "RSeq: ")
	_, _ = fmt.Sscan(rest, &n)
	return n
}

func (p *wirePeer) last() string { return p.sent[len(p.sent)-1] }

// served is a table with one clock, and what it told.
type served struct {
	*testing.T
	*transaction.UAS
	peer  wirePeer
	tx    signal.TxID
	wheel *wheel.Wheel
	spent int // for an echo, when it was asked for last

	mu   sync.Mutex
	told []string
}

func (s *served) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.told, ",")
}

func newServed(t *testing.T, limit int) *served {
	s := &served{T: t}
	w := wheel.New(sip.Timers{}.WithDefaults().T1)
	s.wheel = w
	s.UAS = transaction.NewUAS(transaction.UASConfig{Wheel: w, Limit: limit, Missing: func(tx signal.TxID, rseq uint32) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if rseq > 0 {
			rseq -= s.peer.first() - 1 // counted from 1
		}
		s.told = append(s.told, fmt.Sprintf("missing %d %d", tx>>4, rseq))
	}})
	t.Cleanup(func() { w.Close(); s.UAS.Close() })
	return s
}

// scan reads a message of the call x; more are further header lines.
func scan(t *testing.T, method, branch, toTag string, cseq int, more ...string) *wire.Message {
	t.Helper()
	if toTag != "" {
		toTag = ";tag=" + toTag
	}
	raw := fmt.Sprintf("%s sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%s\r\nFrom: <sip:a@b>;tag=1\r\n"+
		"To: <sip:c@d>%s\r\nCall-ID: x\r\nCSeq: %d %s\r\n%s\r\n", method, branch, toTag, cseq, method,
		strings.Join(append(more, ""), "\r\n"))
	m := &wire.Message{}
	if err := m.Scan([]byte(raw), wire.Limits{}); err != nil {
		t.Fatal(err)
	}
	return m
}

func (s *served) receive(reliable bool, m *wire.Message) string {
	s.Helper()
	tx, what := s.Match(m, 7, func(spent int) transaction.Peer {
		s.spent = spent
		return &s.peer
	})
	switch what {
	case transaction.Absorbed:
		return "absorbed"
	case transaction.Acked:
		return fmt.Sprintf("acked %v", tx == s.tx)
	case transaction.Merged:
		return "merged"
	case transaction.Stray:
		return "stray"
	}
	tx, err := s.Begin(transaction.Incoming{
		Message: m, Method: string(m.Method), Flow: 7, Source: netip.MustParseAddrPort("192.0.2.1:5060"), Reliable: reliable, Peer: &s.peer,
	})
	if err != nil {
		return err.Error()
	}
	s.tx = tx
	return "fresh"
}

// does is one thing that happens, and what is true after it.
type does struct {
	after    time.Duration
	receive  string // "METHOD branch to-tag"
	is       string // what the table says of it
	respond  int
	reliable bool
	prack    uint32
	sent     string // all that went out so far; empty: as before
	state    sip.State
	told     string
}

func TestServerTransactionsOfCalls(t *testing.T) {
	const (
		ms, s = time.Millisecond, time.Second
		none  = "-" // nothing went out so far
	)
	type table struct {
		stream bool
		steps  []does
	}
	for name, c := range map[string]table{
		"a 2xx over UDP is sent until the ACK": {false, []does{
			{receive: "INVITE 1 -", is: "fresh", sent: none, state: sip.Proceeding},
			{after: 30 * ms, sent: none, state: sip.Proceeding},
			{after: 30 * ms, sent: "100", state: sip.Proceeding},
			{receive: "INVITE 1 -", is: "absorbed", sent: "100 100", state: sip.Proceeding},
			{after: 9 * s, sent: "100 100", state: sip.Proceeding},
			{respond: 200, sent: "100 100 200", state: sip.Accepted},
			{after: 510 * ms, sent: "100 100 200 200", state: sip.Accepted},
			{after: 1020 * ms, sent: "100 100 200 200 200", state: sip.Accepted},
			{receive: "INVITE 1 -", is: "absorbed", state: sip.Accepted},
			{receive: "ACK 2 wrong", is: "stray", state: sip.Accepted},
			{receive: "ACK 2 tag", is: "acked true", state: sip.Accepted},
			{receive: "ACK 2 tag", is: "absorbed", state: sip.Accepted},
			{after: 4 * s, sent: "100 100 200 200 200", state: sip.Accepted},
			{after: 2 * s, state: sip.Terminated},
			{receive: "ACK 2 tag", is: "stray", state: sip.Terminated},
		}},
		"an INVITE that comes again before its 100": {false, []does{
			{receive: "INVITE 1 -", is: "fresh", sent: none, state: sip.Proceeding},
			{receive: "INVITE 1 -", is: "absorbed", sent: "100", state: sip.Proceeding},
			{after: 9 * s, sent: "100", state: sip.Proceeding},
		}},
		"what rings at once needs no 100": {false, []does{
			{receive: "INVITE 1 -", is: "fresh", sent: none, state: sip.Proceeding},
			{respond: 180, sent: "180", state: sip.Proceeding},
			{after: 9 * s, sent: "180", state: sip.Proceeding},
		}},
		"any other request gets no 100": {false, []does{
			{receive: "BYE 1 tag", is: "fresh", state: sip.Proceeding},
			{after: 9 * s, sent: none, state: sip.Proceeding},
		}},
		"a 2xx over a stream is sent until the ACK too": {true, []does{
			{receive: "INVITE 1 -", is: "fresh", sent: none, state: sip.Proceeding},
			{respond: 200, sent: "200", state: sip.Accepted},
			{after: 510 * ms, sent: "200 200", state: sip.Accepted},
			{receive: "ACK 1 tag", is: "acked true", state: sip.Accepted}, // with the INVITE's branch, as some write it
			{after: 9 * s, sent: "200 200", state: sip.Terminated},
		}},
		"no ACK to a 2xx": {true, []does{
			{receive: "INVITE 1 -", is: "fresh", state: sip.Proceeding},
			{respond: 200, state: sip.Accepted},
			{after: 31 * s, state: sip.Accepted, sent: "200 200 200 200 200 200 200 200 200 200"}, // 0.5, 1.5, 3.5, 7.5 … 31.5
			{after: 1100 * ms, state: sip.Terminated, told: "missing 1 0"},
		}},
		"a refusal over UDP is sent until the ACK": {false, []does{
			{receive: "INVITE 1 -", is: "fresh", state: sip.Proceeding},
			{respond: 486, sent: "486", state: sip.Completed},
			{after: 510 * ms, sent: "486 486", state: sip.Completed},
			{receive: "INVITE 1 -", is: "absorbed", sent: "486 486 486", state: sip.Completed},
			{respond: 200, sent: "486 486 486", state: sip.Completed},
			{receive: "ACK 1 tag", is: "absorbed", state: sip.Confirmed},
			{receive: "INVITE 1 -", is: "absorbed", sent: "486 486 486", state: sip.Confirmed},
			{after: 5100 * ms, state: sip.Terminated},
		}},
		"a refusal over a stream is sent once": {true, []does{
			{receive: "INVITE 1 -", is: "fresh", state: sip.Proceeding},
			{respond: 486, sent: "486", state: sip.Completed},
			{after: 20 * s, sent: "486", state: sip.Completed},
			{receive: "ACK 1 tag", is: "absorbed", state: sip.Terminated},
		}},
		"a refusal without its ACK ends, and nobody is told": {false, []does{
			{receive: "INVITE 1 -", is: "fresh", state: sip.Proceeding},
			{respond: 486, state: sip.Completed},
			{after: 32100 * ms, state: sip.Terminated},
		}},
		"any other request over UDP keeps its answer": {false, []does{
			{receive: "BYE 1 tag", is: "fresh", state: sip.Proceeding},
			{receive: "BYE 1 tag", is: "absorbed", state: sip.Proceeding},
			{respond: 200, sent: "200", state: sip.Completed},
			{after: 31 * s, receive: "BYE 1 tag", is: "absorbed", sent: "200 200", state: sip.Completed},
			{after: 1100 * ms, state: sip.Terminated},
		}},
		"any other request over a stream is over with its answer": {true, []does{
			{receive: "BYE 1 tag", is: "fresh", state: sip.Proceeding},
			{respond: 200, sent: "200", state: sip.Terminated},
		}},
		"a copy by another way, and the same CSeq after a refusal": {false, []does{
			{receive: "INVITE 1 -", is: "fresh", state: sip.Proceeding},
			{receive: "INVITE 2 -", is: "merged", state: sip.Proceeding},
			{respond: 407, state: sip.Completed},
			{receive: "INVITE 3 -", is: "fresh", sent: "407", state: sip.Proceeding},
		}},
		"a reliable 183 is sent until its PRACK, and the 2xx waits for that": {false, []does{
			{receive: "INVITE 1 -", is: "fresh", state: sip.Proceeding},
			{respond: 183, reliable: true, sent: "183", state: sip.Proceeding},
			{after: 510 * ms, sent: "183 183", state: sip.Proceeding},
			{respond: 180, sent: "183 183 180", state: sip.Proceeding},
			{after: 1010 * ms, sent: "183 183 180 183", state: sip.Proceeding},
			{respond: 200, sent: "183 183 180 183", state: sip.Proceeding},
			{prack: 2, is: "no", state: sip.Proceeding},
			{prack: 1, is: "yes", sent: "183 183 180 183 200", state: sip.Accepted},
			{prack: 1, is: "no", state: sip.Accepted},
		}},
		"a reliable 183 without PRACK": {true, []does{
			{receive: "INVITE 1 -", is: "fresh", state: sip.Proceeding},
			{respond: 183, reliable: true, state: sip.Proceeding},
			{respond: 183, reliable: true, state: sip.Proceeding}, // waits for the first, in vain
			{after: 32100 * ms, sent: "183 183 183 183 183 183 183", told: "missing 1 1", state: sip.Proceeding},
			{respond: 504, sent: "183 183 183 183 183 183 183 504", state: sip.Completed},
		}},
		"a refusal does not wait for a PRACK": {true, []does{
			{receive: "INVITE 1 -", is: "fresh", state: sip.Proceeding},
			{respond: 183, reliable: true, state: sip.Proceeding},
			{respond: 486, sent: "183 486", state: sip.Completed},
			{after: 10 * s, sent: "183 486", state: sip.Completed},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServed(t, 100)
				for i, d := range c.steps {
					d.check(t, i, s, c.stream)
				}
			})
		})
	}
}

func (d does) check(t *testing.T, i int, s *served, stream bool) {
	time.Sleep(d.after)
	synctest.Wait()
	is := ""
	if d.receive != "" {
		f := strings.Fields(d.receive)
		is = s.receive(stream, scan(t, f[0], f[1], strings.Trim(f[2], "-"), 1))
	}
	if d.respond > 0 {
		s.Respond(signal.Reply{Tx: s.tx, Status: d.respond, ToTag: "tag", Reliable: d.reliable})
	}
	if d.prack > 0 {
		is = "no"
		if _, ok := s.Pracked(scan(t, "PRACK", "9", "tag", 2), s.peer.first()+d.prack-1, 1); ok {
			is = "yes"
		}
	}
	if is != d.is || d.sent != "" && strings.Trim(d.sent, "-") != s.peer.statuses() || s.State(s.tx) != d.state {
		t.Errorf("step %d: is %q (want %q), %s (want %s), sent %q (want %q)", i+1, is, d.is, s.State(s.tx), d.state, s.peer.statuses(), d.sent)
	}
	if got := s.heard(); d.told != "" && got != d.told {
		t.Errorf("step %d: told %q (want %q)", i+1, got, d.told)
	}
}

// A final response is told of once, when it goes out: a 2xx that waits for a PRACK has not, and never does when that does not come.
func TestAnsweredIsToldOnce(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		prack bool
		want  string
	}{
		"with its PRACK": {after: time.Second, prack: true, want: "INVITE 200"},
		"without":        {after: 33 * time.Second, want: "INVITE 504"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServed(t, 100)
				s.receive(true, scan(t, "INVITE", "1", "", 1))
				s.Respond(signal.Reply{Tx: s.tx, Status: 183, ToTag: "tag", Reliable: true})
				s.Respond(signal.Reply{Tx: s.tx, Status: 200, ToTag: "tag"})
				time.Sleep(c.after)
				synctest.Wait()
				if got := s.peer.answers(); got != "" {
					t.Errorf("told %q before anything final went out", got)
				}
				if c.prack {
					s.Pracked(scan(t, "PRACK", "9", "tag", 2), s.peer.first(), 1)
				} else {
					s.Respond(signal.Reply{Tx: s.tx, Status: 504, ToTag: "tag"})
				}
				if s.Respond(signal.Reply{Tx: s.tx, Status: 500}) {
					t.Error("another final response is taken")
				}
				if got := s.peer.answers(); got != c.want {
					t.Errorf("told %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestResponsesOfCalls(t *testing.T) {
	s := newServed(t, 100)
	s.receive(true, scan(t, "INVITE", "1", "", 1))
	s.Respond(signal.Reply{Tx: s.tx, Status: 180})
	own := s.peer.last()
	if !strings.Contains(own, "To: <sip:c@d>;tag=") {
		t.Errorf("no tag:\n%s", own)
	}
	s.Respond(signal.Reply{
		Tx: s.tx, Status: 183, Reason: "Ring\r\nX: y", ToTag: "b", ContentType: "application/sdp", Body: []byte("v=0"), Reliable: true,
		Headers: []telephony.Header{{Name: "Contact", Value: "<sip:x>\r\nEvil: yes"}},
	})
	got := s.peer.last()
	for _, want := range []string{"To: <sip:c@d>;tag=b\r\n", "Require: 100rel\r\nRSeq: " + fmt.Sprint(s.peer.first()) + "\r\n", "Content-Type: application/sdp\r\n",
		"Content-Length: 3\r\n\r\nv=0", "Via: SIP/2.0/UDP h;branch=z9hG4bK1;received=192.0.2.1\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, forged := range []string{"\r\nX: y", "\r\nEvil"} {
		if strings.Contains(got, forged) {
			t.Errorf("%q in\n%s", forged, got)
		}
	}
}

// Without a way for a final response it is sent again, as over UDP: the phone may be on its way back.
func TestResponseWaitsForAWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t, 100)
		s.receive(true, scan(t, "INVITE", "1", "", 1))
		s.peer.die(true)
		s.Respond(signal.Reply{Tx: s.tx, Status: 486, ToTag: "tag"})
		time.Sleep(2 * time.Second)
		s.peer.die(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := s.peer.statuses(); got != "486" {
			t.Error(got)
		}
	})
}

// A 100 begins no dialog (RFC 3261 §8.2.6.2).
func TestTryingHasNoTag(t *testing.T) {
	s := newServed(t, 100)
	invite := scan(t, "INVITE", "1", "", 1)
	s.receive(true, invite)
	if s.receive(true, invite); s.peer.statuses() != "100" || strings.Contains(s.peer.last(), "To: <sip:c@d>;tag=") {
		t.Error(s.peer.sent)
	}
}

func TestCancelFindsItsINVITE(t *testing.T) {
	s := newServed(t, 100)
	s.receive(true, scan(t, "INVITE", "1", "", 1))
	for i, c := range []struct {
		branch  string
		flow    uint64
		found   bool
		pending bool
	}{{"2", 7, false, false}, {"1", 8, false, false}, {"1", 7, true, true}, {"1", 7, true, false}} {
		tx, _, pending := s.Canceled(scan(t, "CANCEL", c.branch, "", 1), c.flow)
		if (tx == s.tx) != c.found || pending != c.pending {
			t.Errorf("%d: %v %v", i, tx, pending)
		}
	}
	s.Respond(signal.Reply{Tx: s.tx, Status: 487, ToTag: "z"})
	if _, tag, pending := s.Canceled(scan(t, "CANCEL", "1", "", 1), 7); tag != "z" || pending {
		t.Errorf("tag %q, pending %v", tag, pending)
	}
}

func TestServerTransactionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t, 4)
		for i := range 4 {
			if got := s.receive(false, scan(t, "BYE", fmt.Sprint(i), "tag", 1)); got != "fresh" {
				t.Fatal(got)
			}
		}
		if got := s.receive(false, scan(t, "BYE", "5", "tag", 1)); got != transaction.ErrFull.Error() || s.Len() != 4 {
			t.Errorf("%s, %d", got, s.Len())
		}
		s.Respond(signal.Reply{Tx: s.tx, Status: 200}) // crowded: it is kept for T4 alone
		time.Sleep(5100 * time.Millisecond)
		synctest.Wait()
		if s.Len() != 3 {
			t.Errorf("%d are left", s.Len())
		}
		if got := s.receive(false, scan(t, "BYE", "5", "tag", 1)); got != "fresh" {
			t.Error(got)
		}
		s.Close()
		if s.Len() != 0 {
			t.Errorf("%d after Close", s.Len())
		}
		if _, err := s.Begin(transaction.Incoming{Message: scan(t, "BYE", "6", "tag", 1), Peer: &s.peer}); !errors.Is(err, transaction.ErrFull) {
			t.Error(err)
		}
	})
}

// Reliable responses are numbered from a random start on (RFC 3262 §3).
func TestReliableResponsesAreNumberedFromAnywhere(t *testing.T) {
	s := newServed(t, 100)
	starts := map[uint32]bool{}
	for i := range 8 {
		s.receive(true, scan(t, "INVITE", fmt.Sprint(i), "", i+1))
		s.Respond(signal.Reply{Tx: s.tx, Status: 183, ToTag: "a", Reliable: true})
		first := rseqOf(s.peer.last())
		if first < 1 || first > 1<<31-1 {
			t.Errorf("begins at %d", first)
		}
		starts[first] = true
		if _, ok := s.Pracked(scan(t, "PRACK", "9", "a", i+2), first, uint32(i+1)); !ok {
			t.Fatalf("%d is not confirmed", first)
		}
		s.Respond(signal.Reply{Tx: s.tx, Status: 183, ToTag: "a", Reliable: true})
		if next := rseqOf(s.peer.last()); next != first+1 {
			t.Errorf("%d after %d", next, first)
		}
		s.Respond(signal.Reply{Tx: s.tx, Status: 486, ToTag: "a"})
		s.receive(true, scan(t, "ACK", fmt.Sprint(i), "a", i+1))
	}
	if len(starts) < 7 { // of eight out of two thousand millions
		t.Errorf("they begin at %v", starts)
	}
}

// A transaction is used again without anything of the one before.
func TestServerTransactionsAreUsedAgain(t *testing.T) {
	s := newServed(t, 100)
	for i := range 3 {
		if got := s.receive(true, scan(t, "INVITE", fmt.Sprint(i), "", i)); got != "fresh" {
			t.Fatal(got)
		}
		s.Canceled(scan(t, "CANCEL", fmt.Sprint(i), "", i), 7)
		s.Respond(signal.Reply{Tx: s.tx, Status: 183, ToTag: "a", Reliable: true})
		s.Respond(signal.Reply{Tx: s.tx, Status: 486, ToTag: "a"})
		if got := s.receive(true, scan(t, "ACK", fmt.Sprint(i), "a", i)); got != "absorbed" || s.Len() != 0 {
			t.Fatalf("%s, %d left", got, s.Len())
		}
	}
	s.receive(true, scan(t, "INVITE", "9", "", 9))
	if _, _, pending := s.Canceled(scan(t, "CANCEL", "9", "", 9), 7); !pending {
		t.Error("a CANCEL of the transaction before counts")
	}
	s.Respond(signal.Reply{Tx: s.tx, Status: 183, ToTag: "b", Reliable: true})
	if got := s.peer.last(); rseqOf(got) == 0 || !strings.Contains(got, ";tag=b\r\n") {
		t.Error(got)
	}
}

// What a transaction was to do at a time is not done by the next one that has its memory.
func TestTimersOfATransactionEndWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		s := newServed(t, 100)
		s.receive(true, scan(t, "INVITE", "1", "", 1)) // would get its 100 after 50 ms
		s.Respond(signal.Reply{Tx: s.tx, Status: 486, ToTag: "tag"})
		s.receive(true, scan(t, "ACK", "1", "tag", 1))
		time.Sleep(30 * ms)
		s.receive(true, scan(t, "INVITE", "2", "", 2))
		for _, c := range []struct {
			after time.Duration
			sent  string
		}{{30 * ms, "486"}, {30 * ms, "486 100"}, {time.Minute, "486 100"}} {
			time.Sleep(c.after)
			synctest.Wait()
			if got := s.peer.statuses(); got != c.sent {
				t.Errorf("sent %q, want %q", got, c.sent)
			}
		}
		s.Respond(signal.Reply{Tx: s.tx, Status: 200, ToTag: "tag"})
		s.receive(true, scan(t, "ACK", "3", "tag", 2))
		s.receive(false, scan(t, "INVITE", "4", "", 3))
		s.Respond(signal.Reply{Tx: s.tx, Status: 486, ToTag: "tag"}) // is sent again after 500 ms, 1 s
		time.Sleep(1600 * ms)
		synctest.Wait()
		if got := s.peer.statuses(); got != "486 100 200 486 486 486" {
			t.Errorf("sent %q", got)
		}
	})
}

func BenchmarkServerCall(b *testing.B) {
	w := wheel.New(sip.Timers{}.WithDefaults().T1)
	u := transaction.NewUAS(transaction.UASConfig{Wheel: w, Limit: 1 << 16, Missing: func(signal.TxID, uint32) {}})
	defer w.Close()
	defer u.Close()
	raw := []byte("INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n" +
		"Call-ID: 1234567\r\nCSeq: 1 INVITE\r\n\r\n")
	ack := bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("INVITE"), []byte("ACK")), []byte("<sip:c@d>"), []byte("<sip:c@d>;tag=t"))
	var m, n wire.Message
	p := discard{}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := []byte(fmt.Sprintf("%07d", i%10_000_000))
		raw = bytes.Replace(raw, raw[bytes.Index(raw, []byte("Call-ID: "))+9:][:7], id, 1)
		_ = m.Scan(raw, wire.Limits{})
		u.Match(&m, 1, nil)
		tx, _ := u.Begin(transaction.Incoming{Message: &m, Method: "INVITE", Flow: 1, Reliable: true, Peer: p})
		u.Respond(signal.Reply{Tx: tx, Status: 486, ToTag: "t"})
		copy(ack[bytes.Index(ack, []byte("Call-ID: "))+9:], id)
		_ = n.Scan(ack, wire.Limits{})
		u.Match(&n, 1, nil)
	}
}

type discard struct{}

func (discard) Send([]byte) bool     { return true }
func (discard) Answered(string, int) {}
