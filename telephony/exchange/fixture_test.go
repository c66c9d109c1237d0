package exchange_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const acme = account.ID("acc_acme")

var (
	alice = telephony.NewAoR("1001", "acme.example")
	bob   = telephony.NewAoR("1002", "acme.example")
	carol = telephony.NewAoR("1003", "acme.example")
)

// site is an exchange with phones around it: it is the edge, the media and the store.
type site struct {
	t  *testing.T
	x  *exchange.Exchange
	mu sync.Mutex

	phones   map[uint64]*phone // by flow
	contacts map[telephony.AoR][]signal.Target
	lastTx   uint64
	open     map[telephony.MediaID]telephony.MediaOpening
	agreed   map[telephony.MediaID]sdp.Agreed
	paths    []string
	written  []telephony.CallChange
	held     []telephony.CallChange // what Open tells
	away     bool                   // the store
	notes    []timeline.Entry
	noted    map[telephony.AoR][]timeline.Entry
	faults   []string
	finals   map[signal.TxID]int
	noPorts  bool
	breaks   bool // Agree panics
}

func newSite(t *testing.T, change ...func(*exchange.Config)) *site {
	s := &site{t: t, phones: map[uint64]*phone{}, contacts: map[telephony.AoR][]signal.Target{},
		open: map[telephony.MediaID]telephony.MediaOpening{}, agreed: map[telephony.MediaID]sdp.Agreed{}, finals: map[signal.TxID]int{}}
	cfg := exchange.Config{Node: "n1", Key: []byte("a key for tests only, 32 bytes.."), Host: func(telephony.Flow) (string, bool) { return "sip.acme.example:5061", true },
		Workers: 2, Logger: slog.New(slog.DiscardHandler),
		Ports: exchange.Ports{Signalling: s, Media: s, Paths: s, Contacts: s, History: history{s}, Timeline: s}}
	for _, c := range change {
		c(&cfg)
	}
	s.x = exchange.New(cfg)
	s.x.Start(t.Context())
	t.Cleanup(s.stop)
	return s
}

func (s *site) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	s.mu.Lock()
	s.away = false
	s.mu.Unlock()
	_ = s.x.Stop(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		s.t.Error(f)
	}
}

// patience is how long a test waits for what must come: far more than two turns of whatever is told the store by turns.
const patience = time.Minute

// until polls under a generous deadline.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		done := ok()
		s.mu.Unlock()
		if done {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Fatalf("%s has not happened; paths %v", what, s.paths)
}

// untilFree polls without the site's lock.
func (s *site) untilFree(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	s.t.Fatalf("%s has not happened", what)
}

func (s *site) Send(o signal.Outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phones[o.Ways[0].Flow.ID]
	if p == nil {
		s.faults = append(s.faults, "a "+o.Method+" went to nobody")
		return
	}
	p.requests = append(p.requests, &o)
}

func (s *site) Cancel(tx signal.TxID, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.phones {
		if slices.Contains(p.taken, tx) || slices.ContainsFunc(p.requests, func(o *signal.Outgoing) bool { return o.Tx == tx }) {
			p.cancels = append(p.cancels, reason)
		}
	}
}

// stall has the worker that answers the phone's next request stand still: it tells when it does, and goes on when it is told.
func (s *site) stall(p *phone) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.stalls = make(chan struct{})
	return p.stalls
}

func (s *site) stalled(tx signal.TxID) (stalls chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.phones {
		if slices.Contains(p.sent, tx) {
			stalls, p.stalls = p.stalls, nil
		}
	}
	return stalls
}

func (s *site) Reply(r signal.Reply) {
	if stalls := s.stalled(r.Tx); stalls != nil {
		stalls <- struct{}{}
		<-stalls
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Status >= 200 {
		if s.finals[r.Tx]++; s.finals[r.Tx] > 1 {
			s.faults = append(s.faults, "a request got two final responses")
		}
	}
	for _, p := range s.phones {
		if slices.Contains(p.sent, r.Tx) {
			p.replies = append(p.replies, &r)
		}
	}
}

func (s *site) Open(o telephony.MediaOpening) (sdp.Local, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noPorts {
		return sdp.Local{}, exchange.ErrNoPorts
	}
	s.open[o.ID] = o
	port := uint16(20000 + 2*len(s.open))
	return local(netip.MustParseAddr("198.51.100.1"), port), nil
}

func local(addr netip.Addr, port uint16) sdp.Local {
	key := strings.Repeat("A", 40)
	print := sdp.Fingerprint{Hash: "sha-256", Value: strings.Repeat("AB:", 31) + "AB"}
	return sdp.Local{Addr: addr, Fingerprint: print, Audio: sdp.Line{RTP: port, RTCP: port + 1,
		Keys: []sdp.Key{{Tag: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Key: account.Secret(key)}}}}
}

func (s *site) Agree(id telephony.MediaID, a sdp.Agreed) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breaks {
		panic("as asked for")
	}
	if _, ok := s.open[id]; !ok {
		s.faults = append(s.faults, "media was agreed that is not open")
	}
	s.agreed[id] = a
	return nil
}

func (s *site) Close(id telephony.MediaID) telephony.MediaReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.open[id]; !ok {
		s.faults = append(s.faults, "media was closed that is not open")
	}
	delete(s.open, id)
	return telephony.MediaReport{Received: 42}
}

func (s *site) path(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths = append(s.paths, text)
}

func (s *site) Relay(a, b telephony.MediaID)                  { s.path("relay") }
func (s *site) Play(_ telephony.MediaID, what string, _ bool) { s.path("play " + what) }
func (s *site) Mix(ids ...telephony.MediaID)                  { s.path("mix " + strconv.Itoa(len(ids))) }
func (s *site) Hush(telephony.MediaID)                        { s.path("hush") }

func (s *site) Targets(_ context.Context, _ account.ID, aor telephony.AoR) ([]signal.Target, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	targets, ok := s.contacts[aor]
	if !ok {
		return nil, exchange.ErrUnknown
	}
	return slices.Clone(targets), nil
}

var errAway = errors.New("the store is away")

func (s *site) Write(_ context.Context, changes []telephony.CallChange) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return 0, errAway
	}
	s.written = append(s.written, changes...)
	return 0, nil
}

// history is another view of the site: Open is taken by the media.
type history struct{ *site }

func (h history) Open(context.Context, string) ([]telephony.CallChange, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held, nil
}

func (s *site) Note(aor telephony.AoR, e timeline.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noted == nil {
		s.noted = map[telephony.AoR][]timeline.Entry{}
	}
	s.noted[aor] = append(s.noted[aor], e)
	s.notes = append(s.notes, e)
}

// ended returns the record of the only call that has ended.
func (s *site) ended() telephony.CallRecord {
	s.t.Helper()
	all := s.allEnded(1)
	return all[0]
}

func (s *site) allEnded(n int) []telephony.CallRecord {
	s.t.Helper()
	var all []telephony.CallRecord
	s.until("the end of "+strconv.Itoa(n)+" calls in history", func() bool {
		all = nil
		for _, c := range s.written {
			if c.Record.State == telephony.CallEnded {
				all = append(all, c.Record)
			}
		}
		return len(all) >= n
	})
	if len(all) != n {
		s.t.Fatalf("%d ends were written, want %d: %+v", len(all), n, all)
	}
	return all
}

// quiet are paths that nobody looks at, forgets a history that is not kept.
type (
	quiet   struct{}
	forgets struct{}
)

func (quiet) Relay(telephony.MediaID, telephony.MediaID) {}
func (quiet) Play(telephony.MediaID, string, bool)       {}
func (quiet) Mix(...telephony.MediaID)                   {}
func (quiet) Hush(telephony.MediaID)                     {}

func (forgets) Write(context.Context, []telephony.CallChange) (int, error)   { return 0, nil }
func (forgets) Open(context.Context, string) ([]telephony.CallChange, error) { return nil, nil }
