package events_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/events"
	"demarc/telephony/registration"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alice  = telephony.NewAoR("1001", "pbx.example.org")
	bob    = telephony.NewAoR("1002", "pbx.example.org")
	nobody = telephony.NewAoR("1999", "pbx.example.org")
	far    = telephony.NewAoR("1001", "other.example.org")
)

// world is everything that the service stands on.
type world struct {
	mu       sync.Mutex
	now      time.Time
	notified []events.Notify
	answer   func(n events.Notify) (int, time.Duration, error)
	bindings map[telephony.AoR][]registration.Binding
	dialogs  map[telephony.AoR][]events.Dialog
	waiting  events.Waiting
	away     bool
	silent   bool // phones answer no NOTIFY
	notes    []timeline.Entry
	noted    []telephony.AoR
	panics   bool
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// Authenticate believes whoever sends any Authorization.
func (w *world) Authenticate(_ context.Context, c authentication.Credentials) authentication.Verdict {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.panics {
		panic("injected")
	}
	if len(c.Authorize) == 0 {
		return authentication.Verdict{Reply: registration.Reply{Status: 401, Challenges: []string{"Digest"}}}
	}
	return authentication.Verdict{OK: true, User: authentication.Subscriber{Account: "acc_1", AoR: c.User}}
}

func (w *world) Subscriber(_ context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away {
		return authentication.Subscriber{}, errors.New("away")
	}
	if aor == nobody {
		return authentication.Subscriber{}, authentication.ErrUnknown
	}
	return authentication.Subscriber{Account: "acc_1", AoR: aor}, nil
}

func (w *world) Bindings(aor telephony.AoR) []registration.Binding {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bindings[aor]
}

func (w *world) Messages(context.Context, account.ID, telephony.AoR) (events.Waiting, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting, nil
}

func (w *world) Dialogs(_ context.Context, _ account.ID, aor telephony.AoR) ([]events.Dialog, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dialogs[aor], nil
}

func (w *world) Notify(ctx context.Context, n events.Notify) (int, time.Duration, error) {
	w.mu.Lock()
	w.notified = append(w.notified, n)
	answer, silent := w.answer, w.silent
	w.mu.Unlock()
	switch {
	case silent:
		<-ctx.Done()
		return 0, 0, ctx.Err()
	case answer == nil:
		return 200, 0, nil
	}
	return answer(n)
}

func (w *world) Note(aor telephony.AoR, e timeline.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notes = append(w.notes, e)
	w.noted = append(w.noted, aor)
}

func (w *world) sent() []events.Notify {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]events.Notify(nil), w.notified...)
}

func start(t *testing.T, change func(*events.Config)) (*events.Service, *world) {
	t.Helper()
	w := &world{
		now: time.Unix(1_700_000_000, 0), bindings: make(map[telephony.AoR][]registration.Binding),
		dialogs: make(map[telephony.AoR][]events.Dialog),
	}
	c := events.Config{
		Auth: w, Directory: w, Registrations: w, Sender: w, Messages: w, Dialogs: w, Timeline: w, Now: w.clock, Tick: 5 * time.Millisecond,
	}
	if change != nil {
		change(&c)
	}
	s := events.New(c)
	s.Start()
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s, w
}

// subscribe builds a SUBSCRIBE of alice that is authenticated.
func subscribe(event string, target telephony.AoR, changes ...func(*events.Request)) *events.Request {
	r := &events.Request{
		Flow: telephony.Flow{ID: 1, Listener: "tls", Transport: telephony.TLS}, Target: target, User: alice,
		From: "<sip:1001@pbx.example.org>", To: "<sip:" + target.String() + ">", RemoteTag: "theirs", LocalTag: "ours",
		CallID: "call-1", CSeq: 1, Event: event, Expires: 600, Contact: "sip:1001@192.0.2.1;ob", Authorize: []string{"Digest"},
	}
	for _, change := range changes {
		change(r)
	}
	return r
}

func within(tag string, cseq uint32, expires int) func(*events.Request) {
	return func(r *events.Request) { r.ToTag, r.CSeq, r.Expires = tag, cseq, expires }
}

func ask(t *testing.T, s *events.Service, r *events.Request) events.Reply {
	t.Helper()
	replies := make(chan events.Reply, 2)
	s.Subscribe(t.Context(), r, func(r events.Reply) { replies <- r })
	select {
	case r := <-replies:
		return r
	case <-time.After(20 * time.Second):
		t.Fatal("no reply")
	}
	return events.Reply{}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if condition() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}
