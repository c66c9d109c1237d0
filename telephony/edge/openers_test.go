package edge_test

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/registration"
	"demarc/telephony/resolver"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// behind is who takes calls for phones behind proxies, and hears which of their flows have ended.
type behind struct {
	*stub
	mu     sync.Mutex
	failed []string
}

func (b *behind) FlowFailed(f registration.Binding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed = append(b.failed, f.Path)
}

// gate resolves names once it is opened.
type gate struct{ open chan struct{} }

func (g gate) Resolve(ctx context.Context, uri wire.URI) ([]resolver.Hop, error) {
	select {
	case <-g.open:
		return names{}.Resolve(ctx, uri)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// front is an edge with a phone behind a proxy whose own connection has closed.
type front struct {
	*running
	stub *behind
	aor  telephony.AoR
	gone telephony.Flow
}

func newFront(t *testing.T, resolver edge.NextHop) *front {
	t.Helper()
	f := &front{aor: telephony.NewAoR("1002", "example.com"), stub: &behind{stub: newStub(func(*edge.Signalling, signal.Event) {})}}
	f.running = startConfigured(t, f.stub, edge.Config{
		Listeners: everyKind(), Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, NextHop: resolver,
	})
	f.stub.run(t, f.running)
	proxy := f.dialAs("tcp", telephony.TCP)
	_, _ = io.WriteString(proxy, message("REGISTER", "TCP", "1002", "Contact: <sip:1002@a>"))
	answers(t, proxy, 1)
	all, _ := f.stub.fake.seen()
	f.gone = all[0].Flow
	_ = proxy.Close()
	eventually(t, "its connection is closed", func() bool { return len(closedOf(&f.stub.fake)) == 1 })
	return f
}

// invite sends an INVITE over ways.
func (f *front) invite(ways ...signal.Way) signal.TxID {
	out := invitation(f.stub.tx(), f.aor, "sip:1002@10.0.0.1")
	out.Ways = ways
	f.Signalling().Send(out)
	return out.Tx
}

// through is a way over the proxy at a port.
func (f *front) through(port string) signal.Way {
	return signal.Way{Flow: f.gone, AoR: f.aor, Instance: "urn:i", Path: "<sip:localhost:" + port + ";transport=tcp;lr>"}
}

// final waits for the final response to a request.
func (f *front) final(t *testing.T, tx signal.TxID) *signal.Response {
	t.Helper()
	var found *signal.Response
	eventually(t, "a final response", func() bool {
		for _, ev := range f.stub.events() {
			if r, ok := ev.(*signal.Response); ok && r.Tx == tx && r.Status >= 200 {
				found = r
			}
		}
		return found != nil
	})
	return found
}

func TestACallOpensAConnectionToTheProxy(t *testing.T) {
	port, taken := frontProxy(t, nil)
	opened := gate{make(chan struct{})}
	f := newFront(t, opened)
	var all []signal.TxID
	for range 5 {
		all = append(all, f.invite(f.through(port)))
	}
	close(opened.open)
	for _, tx := range all {
		if r := f.final(t, tx); r.Status != 299 || r.Local {
			t.Errorf("%d %s", r.Status, r.Reason)
		}
	}
	if n := taken(); n != 1 {
		t.Errorf("%d connections were opened", n)
	}
}

func TestACallThatIsGivenUpWhileTheProxyIsReached(t *testing.T) {
	port, taken := frontProxy(t, nil)
	opened := gate{make(chan struct{})}
	f := newFront(t, opened)
	tx := f.invite(f.through(port))
	f.Signalling().Cancel(tx, "")
	close(opened.open)
	if r := f.final(t, tx); r.Status != 487 || !r.Local {
		t.Errorf("%d %s", r.Status, r.Reason)
	}
	if n := taken(); n > 1 {
		t.Errorf("%d connections were opened", n)
	}
}

func TestTheNextWayIsTakenWhenAProxyIsDead(t *testing.T) {
	port, _ := frontProxy(t, nil)
	f := newFront(t, names{})
	phone := f.party("udp") // a connection would count as another one of the proxy's, which has the same address here
	phone.say(message("REGISTER", "UDP", "1002", "Contact: <sip:1002@b>"))
	phone.next()
	seen, _ := f.stub.fake.seen()
	direct := signal.Way{Flow: seen[1].Flow, AoR: f.aor}

	dead := f.through("1")
	tx := f.invite(dead)
	if r := f.final(t, tx); r.Status != 503 || !r.Local || r.Reason == "" {
		t.Errorf("%d %s", r.Status, r.Reason)
	}
	f.invite(signal.Way{Flow: f.gone, AoR: f.aor, Path: "<sip:nowhere;lr>"}, direct)
	if got := phone.next(); !strings.HasPrefix(got, "INVITE ") {
		t.Error(got)
	}
	if r := f.final(t, f.invite(dead, f.through(port))); r.Status != 299 {
		t.Errorf("the second proxy: %d %s", r.Status, r.Reason)
	}
	if n := f.Counters().Rejects[edge.Reject{Listener: "tcp", Reason: "proxy_unreached"}]; n < 2 {
		t.Errorf("%d were counted", n)
	}
}

func TestAProxyThatKnowsNoWayIsBelieved(t *testing.T) {
	port, _ := frontProxyThat(t, nil, sip.Answer{Status: 430, Reason: "Flow Failed"})
	f := newFront(t, names{})
	way := f.through(port)
	f.stub.bindings = func(telephony.AoR) []registration.Binding {
		return []registration.Binding{
			{AoR: f.aor, Instance: "urn:i", Reachable: true, Flow: f.gone, Path: way.Path},
			{AoR: f.aor, Instance: "urn:i", Reachable: true, Flow: f.gone, Path: "<sip:other;lr>"},
			{AoR: f.aor, Instance: "urn:j", Reachable: true, Flow: f.gone, Path: way.Path},
		}
	}
	if r := f.final(t, f.invite(way)); r.Status != 430 {
		t.Errorf("%d %s", r.Status, r.Reason)
	}
	f.stub.mu.Lock()
	defer f.stub.mu.Unlock()
	if !slices.Equal(f.stub.failed, []string{way.Path}) {
		t.Errorf("told of %v", fmt.Sprint(f.stub.failed))
	}
}
