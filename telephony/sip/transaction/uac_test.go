package transaction_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
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

// road is an open flow that notes what went out.
type road struct {
	flow telephony.Flow
	mu   sync.Mutex
	sent []string
}

func (r *road) Flow() telephony.Flow { return r.flow }
func (r *road) SentBy() string       { return "us:5060" }
func (r *road) Route() string        { return "" }

func (r *road) Send(_ telephony.AoR, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, string(b))
}

// methods lists what went out.
func (r *road) methods() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, s := range r.sent {
		method, _, _ := strings.Cut(s, " ")
		all = append(all, method)
	}
	return strings.Join(all, " ")
}

func (r *road) last() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent[len(r.sent)-1]
}

// roads are the flows by number; a phone is all flows of one instance.
type roads struct {
	mu    sync.Mutex
	open  map[uint64]*road
	phone map[uint64]string
}

var errShut = errors.New("that flow is gone")

func (r *roads) Open(w signal.Way, _ int) (transaction.Carrier, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.open[w.Flow.ID]; ok {
		return c, nil
	}
	return nil, errShut
}

func (r *roads) SamePhone(w signal.Way, flow uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return w.Instance != "" && r.phone[flow] == w.Instance
}

func (r *roads) shut(flow uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, flow)
}

// asked is a table of client transactions with its flows 1 (UDP), 2 (TCP) and 3 (TCP, the same phone as 2).
type asked struct {
	*testing.T
	*transaction.UAC
	*roads
	roads3 []*road
	wheel  *wheel.Wheel

	mu   sync.Mutex
	told []string
}

const asker signal.TxID = 1<<63 | 5

func newAsked(t *testing.T, limit int) *asked {
	a := &asked{T: t, roads: &roads{open: make(map[uint64]*road), phone: map[uint64]string{2: "i", 3: "i"}}}
	for id, transport := range map[uint64]telephony.Transport{1: telephony.UDP, 2: telephony.TCP, 3: telephony.TCP} {
		a.open[id] = &road{flow: telephony.Flow{
			ID: id, Listener: "l", Transport: transport, Remote: netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(id)),
		}}
	}
	a.roads3 = []*road{nil, a.open[1], a.open[2], a.open[3]}
	w := wheel.New(sip.Timers{}.WithDefaults().T1)
	a.wheel = w
	a.UAC = transaction.NewUAC(transaction.UACConfig{Wheel: w, Limit: limit, Ways: a.roads, Failed: func(f transaction.Failure) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.told = append(a.told, fmt.Sprint(f.Method, " ", f.Status))
	}})
	t.Cleanup(func() { w.Close(); a.UAC.Close() })
	return a
}

func (a *asked) heard() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.told, ",")
}

// ask sends a request over the flows, one after the other.
func (a *asked) ask(method string, flows ...uint64) {
	a.Helper()
	out := signal.Outgoing{Tx: asker, Method: method, URI: "sip:c@phone;ob", ContentType: "application/sdp", Body: []byte("v=0"),
		Headers: []telephony.Header{{Name: "Route", Value: "<sip:proxy;lr>"}, {Name: "From", Value: "<sip:a@b>;tag=1"}, {Name: "To", Value: "<sip:c@d>"},
			{Name: "Call-ID", Value: "x"}, {Name: "CSeq", Value: "3 " + method}, {Name: "Contact", Value: "<sip:us>"}}}
	for _, id := range flows {
		way := signal.Way{Flow: telephony.Flow{ID: id}}
		if id >= 2 && id < 9 {
			way.Instance = "i"
		}
		out.Ways = append(out.Ways, way)
	}
	if err := a.Send(&out); err != nil {
		a.Fatal(err)
	}
}

// answer answers the first request that went out over a flow, over a flow.
func (a *asked) answer(over, by uint64, status int, method, tag string, more ...string) string {
	a.Helper()
	r := a.roads3[over]
	r.mu.Lock()
	request := ""
	for _, s := range r.sent {
		if strings.HasPrefix(s, method+" ") {
			request = s
			break
		}
	}
	r.mu.Unlock()
	m := &wire.Message{}
	if err := m.Scan([]byte(request), wire.Limits{}); err != nil {
		a.Fatalf("no %s went out: %v", method, err)
	}
	raw := append(sip.AppendResponse(nil, m, netip.MustParseAddrPort("192.0.2.9:1"), status, "", tag), strings.Join(append(more, "", ""), "\r\n")...)
	response := &wire.Message{}
	if err := response.Scan(raw, wire.Limits{}); err != nil {
		a.Fatal(err)
	}
	tx, way, what := a.Receive(response, a.roads3[by].flow)
	if what == transaction.Told && (tx != asker || way.Flow.ID != by) {
		a.Errorf("told to %d, way %+v", tx, way)
	}
	return [...]string{"unasked", "old", "told"}[what]
}

// happens is one thing, and what is true after it.
type happens struct {
	after  time.Duration
	status int // a response to "method"
	method string
	tag    string
	is     string
	cancel bool
	ack    string // the To tag
	sent   string
	state  sip.State
	told   string
}

func TestClientTransactionsOfCalls(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for name, c := range map[string]struct {
		method string
		flow   uint64
		steps  []happens
	}{
		"INVITE over UDP without an answer (timers A, B)": {"INVITE", 1, []happens{
			{sent: "INVITE", state: sip.Calling},
			{after: 510 * ms, sent: "INVITE INVITE", state: sip.Calling},
			{after: 1020 * ms, sent: "INVITE INVITE INVITE", state: sip.Calling},
			{after: 29990 * ms, sent: "INVITE INVITE INVITE INVITE INVITE INVITE INVITE", state: sip.Calling},
			{after: 500 * ms, told: "INVITE 408", state: sip.Terminated},
		}},
		"INVITE over a stream without an answer (timer B)": {"INVITE", 2, []happens{
			{after: 31 * s, sent: "INVITE", state: sip.Calling},
			{after: 1100 * ms, sent: "INVITE", told: "INVITE 408", state: sip.Terminated},
		}},
		"INVITE rings as long as it likes": {"INVITE", 1, []happens{
			{status: 100, method: "INVITE", is: "old", state: sip.Proceeding},
			{status: 180, method: "INVITE", tag: "t", is: "told", state: sip.Proceeding},
			{after: 10 * time.Minute, sent: "INVITE", state: sip.Proceeding},
			{status: 180, method: "INVITE", tag: "t", is: "told", state: sip.Proceeding},
		}},
		"INVITE over UDP refused (timer D)": {"INVITE", 1, []happens{
			{status: 486, method: "INVITE", tag: "t", is: "told", sent: "INVITE ACK", state: sip.Completed},
			{after: 20 * s, status: 486, method: "INVITE", tag: "t", is: "old", sent: "INVITE ACK ACK", state: sip.Completed},
			{after: 13 * s, state: sip.Terminated},
			{status: 486, method: "INVITE", tag: "t", is: "unasked", sent: "INVITE ACK ACK", state: sip.Terminated},
		}},
		"INVITE over a stream refused": {"INVITE", 2, []happens{
			{status: 486, method: "INVITE", tag: "t", is: "told", sent: "INVITE ACK", state: sip.Terminated},
		}},
		"INVITE accepted, the 2xx again, and a second one (timer M)": {"INVITE", 2, []happens{
			{status: 200, method: "INVITE", tag: "t", is: "told", sent: "INVITE", state: sip.Accepted},
			{status: 200, method: "INVITE", tag: "t", is: "old", sent: "INVITE", state: sip.Accepted},
			{ack: "t", sent: "INVITE ACK", state: sip.Accepted},
			{status: 200, method: "INVITE", tag: "t", is: "old", sent: "INVITE ACK ACK", state: sip.Accepted},
			{status: 200, method: "INVITE", tag: "u", is: "told", sent: "INVITE ACK ACK", state: sip.Accepted},
			{ack: "u", sent: "INVITE ACK ACK ACK", state: sip.Accepted},
			{status: 486, method: "INVITE", tag: "t", is: "old", sent: "INVITE ACK ACK ACK", state: sip.Accepted},
			{after: 33 * s, state: sip.Terminated},
			{status: 200, method: "INVITE", tag: "t", is: "unasked", sent: "INVITE ACK ACK ACK", state: sip.Terminated},
		}},
		"CANCEL waits for a provisional response": {"INVITE", 1, []happens{
			{cancel: true, sent: "INVITE", state: sip.Calling},
			{status: 100, method: "INVITE", is: "old", sent: "INVITE CANCEL", state: sip.Proceeding},
			{cancel: true, sent: "INVITE CANCEL", state: sip.Proceeding},
			{after: 510 * ms, sent: "INVITE CANCEL CANCEL", state: sip.Proceeding},
			{status: 200, method: "CANCEL", tag: "t", is: "old", state: sip.Proceeding},
			{after: 5 * s, sent: "INVITE CANCEL CANCEL", state: sip.Proceeding},
			{status: 487, method: "INVITE", tag: "t", is: "told", sent: "INVITE CANCEL CANCEL ACK", state: sip.Completed},
		}},
		"CANCEL that comes too late": {"INVITE", 2, []happens{
			{cancel: true, sent: "INVITE", state: sip.Calling},
			{status: 200, method: "INVITE", tag: "t", is: "told", sent: "INVITE", state: sip.Accepted},
		}},
		"CANCEL of a phone that says no more": {"INVITE", 2, []happens{
			{status: 180, method: "INVITE", tag: "t", is: "told", state: sip.Proceeding},
			{cancel: true, sent: "INVITE CANCEL", state: sip.Proceeding},
			{after: 33 * s, sent: "INVITE CANCEL", told: "INVITE 487", state: sip.Terminated},
		}},
		"CANCEL of a phone that never said anything": {"INVITE", 2, []happens{
			{cancel: true, state: sip.Calling},
			{after: 33 * s, sent: "INVITE", told: "INVITE 487", state: sip.Terminated},
		}},
		"BYE over UDP (timers E, F)": {"BYE", 1, []happens{
			{after: 510 * ms, sent: "BYE BYE", state: sip.Calling},
			{after: 29 * s, sent: "BYE BYE BYE BYE BYE BYE BYE BYE BYE BYE", state: sip.Calling}, // 0.5, 1.5, 3.5, 7.5, then every 4 s
			{after: 3 * s, told: "BYE 408", state: sip.Terminated},
		}},
		"BYE over UDP with a 100 is sent every T2": {"BYE", 1, []happens{
			{status: 100, method: "BYE", is: "old", state: sip.Proceeding},
			{after: 9 * s, sent: "BYE BYE BYE", state: sip.Proceeding},
			{status: 200, method: "BYE", is: "told", state: sip.Terminated},
			{status: 200, method: "BYE", is: "unasked", state: sip.Terminated},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAsked(t, 10)
				a.ask(c.method, c.flow)
				for i, h := range c.steps {
					h.check(t, i, a, c.flow)
				}
			})
		})
	}
}

func (h happens) check(t *testing.T, i int, a *asked, flow uint64) {
	time.Sleep(h.after)
	synctest.Wait()
	is := ""
	if h.status > 0 {
		is = a.answer(flow, flow, h.status, h.method, h.tag)
	}
	if h.cancel {
		a.Cancel(asker, "SIP;cause=200")
	}
	if h.ack != "" {
		if err := a.Ack(ackTo(h.ack, flow)); err != nil {
			t.Error(err)
		}
	}
	sent := a.roads3[flow].methods()
	if is != h.is || h.sent != "" && sent != h.sent || a.State(asker) != h.state {
		t.Errorf("step %d: is %q (want %q), %s (want %s), sent %q (want %q)", i+1, is, h.is, a.State(asker), h.state, sent, h.sent)
	}
	if got := a.heard(); got != h.told {
		t.Errorf("step %d: told %q (want %q)", i+1, got, h.told)
	}
}

func ackTo(tag string, flow uint64) *signal.Outgoing {
	return &signal.Outgoing{Tx: asker, Method: "ACK", URI: "sip:c@phone", Ways: []signal.Way{{Flow: telephony.Flow{ID: flow}}},
		Headers: []telephony.Header{{Name: "From", Value: "<sip:a@b>;tag=1"}, {Name: "To", Value: "<sip:c@d>;tag=" + tag},
			{Name: "Call-ID", Value: "x"}, {Name: "CSeq", Value: "3 ACK"}}}
}

func TestWaysAreTriedInTurn(t *testing.T) {
	for name, c := range map[string]struct {
		ways  []uint64
		do    func(a *asked)
		sent  [4]string
		told  string
		state sip.State
	}{
		"the first is shut": {[]uint64{9, 2}, func(*asked) {}, [4]string{2: "INVITE"}, "", sip.Calling},
		"all are shut":      {[]uint64{9, 10}, func(*asked) {}, [4]string{}, "INVITE 503", sip.Terminated},
		"none":              {nil, func(*asked) {}, [4]string{}, "INVITE 503", sip.Terminated},
		"the first does not answer": {[]uint64{1, 2}, func(*asked) { time.Sleep(33 * time.Second) },
			[4]string{1: "INVITE INVITE INVITE INVITE INVITE INVITE INVITE", 2: "INVITE"}, "", sip.Calling},
		"the first ends before an answer": {[]uint64{2, 1}, func(a *asked) { a.shut(2); a.FlowGone(2) },
			[4]string{1: "INVITE", 2: "INVITE"}, "", sip.Calling},
		"the first says 430": {[]uint64{2, 1}, func(a *asked) { a.answer(2, 2, 430, "INVITE", "t") },
			[4]string{1: "INVITE", 2: "INVITE"}, "", sip.Calling},
		"the first refuses": {[]uint64{2, 1}, func(a *asked) { a.answer(2, 2, 486, "INVITE", "t") },
			[4]string{2: "INVITE ACK"}, "", sip.Terminated},
		"given up before an answer, the flow ends": {[]uint64{2, 1}, func(a *asked) { a.Cancel(asker, ""); a.shut(2); a.FlowGone(2) },
			[4]string{2: "INVITE"}, "INVITE 487", sip.Terminated},
		"it rings, the flow ends, and the phone stays away": {[]uint64{2, 1}, func(a *asked) {
			a.answer(2, 2, 180, "INVITE", "t")
			a.shut(2)
			a.FlowGone(2)
			time.Sleep(9 * time.Second)
		}, [4]string{2: "INVITE"}, "INVITE 503", sip.Terminated},
		"it rings, the flow ends, and the phone answers over its next": {[]uint64{2, 1}, func(a *asked) {
			a.answer(2, 2, 180, "INVITE", "t")
			a.shut(2)
			a.FlowGone(2)
			time.Sleep(time.Second)
			a.answer(2, 3, 180, "INVITE", "t")
			time.Sleep(time.Minute)
			if got := a.answer(2, 3, 486, "INVITE", "t"); got != "told" {
				a.Error(got)
			}
		}, [4]string{2: "INVITE", 3: "ACK"}, "", sip.Terminated},
		"another phone answers for it": {[]uint64{2}, func(a *asked) {
			if got := a.answer(2, 1, 200, "INVITE", "t"); got != "unasked" {
				a.Error(got)
			}
		}, [4]string{2: "INVITE"}, "", sip.Calling},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAsked(t, 10)
				a.ask("INVITE", c.ways...)
				c.do(a)
				synctest.Wait()
				for id := 1; id <= 3; id++ {
					if got := a.roads3[id].methods(); got != c.sent[id] {
						t.Errorf("flow %d: %q, want %q", id, got, c.sent[id])
					}
				}
				if got := a.heard(); got != c.told || a.State(asker) != c.state {
					t.Errorf("told %q, want %q; %s", got, c.told, a.State(asker))
				}
			})
		})
	}
}

func TestACKAndCANCELRepeatTheirINVITE(t *testing.T) {
	a := newAsked(t, 10)
	a.ask("INVITE", 2)
	invite := a.roads3[2].last()
	a.answer(2, 2, 180, "INVITE", "t")
	a.Cancel(asker, `SIP;cause=200;text="Call completed elsewhere"`)
	cancel := a.roads3[2].last()
	a.answer(2, 2, 487, "INVITE", "t")
	ack := a.roads3[2].last()
	line := func(message, name string) string {
		_, rest, _ := strings.Cut(message, "\r\n"+name+": ")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	for _, m := range []string{cancel, ack} {
		for _, name := range []string{"Via", "Route", "From", "Call-ID"} {
			if line(m, name) != line(invite, name) || line(m, name) == "" {
				t.Errorf("%s is %q, the INVITE's %q", name, line(m, name), line(invite, name))
			}
		}
		if !strings.HasSuffix(m, "Content-Length: 0\r\n\r\n") || line(m, "Contact") != "" {
			t.Error(m)
		}
	}
	if !strings.HasPrefix(cancel, "CANCEL sip:c@phone;ob SIP/2.0\r\n") || line(cancel, "CSeq") != "3 CANCEL" || line(cancel, "To") != "<sip:c@d>" ||
		line(cancel, "Reason") != `SIP;cause=200;text="Call completed elsewhere"` {
		t.Error(cancel)
	}
	if !strings.HasPrefix(ack, "ACK sip:c@phone;ob SIP/2.0\r\n") || line(ack, "CSeq") != "3 ACK" || line(ack, "To") != "<sip:c@d>;tag=t" {
		t.Error(ack)
	}
	if a.Len() != 1 {
		t.Errorf("%d are left, beside the CANCEL's", a.Len())
	}
}

// A retransmission of a reliable provisional response is not told, nor one that comes before its turn (RFC 3262 §4); each dialog counts
// for itself.
func TestReliableResponsesAreToldOnce(t *testing.T) {
	a := newAsked(t, 10)
	a.ask("INVITE", 2)
	var got []string
	for _, c := range []struct{ rseq, tag string }{{"7", "t"}, {"7", "t"}, {"8", "t"}, {"7", "u"}, {"", "t"}, {"8", "t"},
		{"10", "t"}, {"9", "t"}, {"10", "t"}, {"9", "u"}, {"8", "u"}, {"4294967295", "v"}, {"1", "v"}} {
		lines := []string{"Require: 100rel", "RSeq: " + c.rseq}
		if c.rseq == "" {
			lines = nil
		}
		got = append(got, a.answer(2, 2, 183, "INVITE", c.tag, lines...))
	}
	if want := []string{"told", "old", "told", "told", "told", "old", "old", "told", "told", "old", "told", "told", "old"}; !slices.Equal(got, want) {
		t.Error(got)
	}
}

// A phone may answer as several (RFC 3261 §13.2.2.4), but not as any number: each is remembered, and told.
func TestForksOfOnePhoneAreBounded(t *testing.T) {
	a := newAsked(t, 10)
	a.ask("INVITE", 2)
	told := map[int]int{}
	for _, status := range []int{183, 200} {
		for i := range 2000 {
			if a.answer(2, 2, status, "INVITE", fmt.Sprint("t", i), "Require: 100rel", "RSeq: 1") == "told" {
				told[status]++
			}
		}
	}
	if told[183] < 8 || told[183] > 64 || told[200] < 8 || told[200] > 64 {
		t.Errorf("told by status: %v", told)
	}
}

func TestClientTransactionsAreBounded(t *testing.T) {
	a := newAsked(t, 1)
	a.ask("INVITE", 2)
	other := signal.Outgoing{Tx: asker + 16, Method: "BYE", Ways: []signal.Way{{Flow: telephony.Flow{ID: 2}}}}
	if err := a.Send(&other); !errors.Is(err, transaction.ErrTx) {
		t.Error(err)
	}
	if err := a.Send(&signal.Outgoing{Tx: asker, Method: "INVITE"}); !errors.Is(err, transaction.ErrTx) {
		t.Error(err)
	}
	a.answer(2, 2, 486, "INVITE", "t")
	if err := a.Send(&other); err != nil || a.Len() != 1 {
		t.Error(err, a.Len())
	}
	a.UAC.Close()
	if a.Len() != 0 {
		t.Errorf("%d after Close", a.Len())
	}
}

func FuzzBranch(f *testing.F) {
	f.Add("z9hG4bK1-2")
	f.Add("z9hG4bK-")
	f.Fuzz(func(t *testing.T, branch string) {
		u := transaction.NewUAC(transaction.UACConfig{Wheel: wheel.New(sip.Timers{}.WithDefaults().T1), Limit: 1})
		m := &wire.Message{}
		if m.Scan([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch="+branch+"\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"+
			"Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"), wire.Limits{}) != nil {
			return
		}
		if _, _, what := u.Receive(m, telephony.Flow{}); what != transaction.Unasked {
			t.Errorf("%q is %d", branch, what)
		}
	})
}
