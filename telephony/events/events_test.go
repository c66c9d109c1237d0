package events_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/events"
	"demarc/telephony/registration"
)

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		req    *events.Request
		status int
	}{
		"own registration":           {subscribe("reg", alice), 200},
		"own messages":               {subscribe("message-summary", alice), 200},
		"a colleague's dialogs":      {subscribe("dialog", bob), 200},
		"own dialogs":                {subscribe("dialog", alice), 200},
		"unknown package":            {subscribe("presence", alice), 489},
		"no credentials":             {subscribe("reg", alice, func(r *events.Request) { r.Authorize = nil }), 401},
		"a colleague's registration": {subscribe("reg", bob), 403},
		"a colleague's messages":     {subscribe("message-summary", bob), 403},
		"another account's dialogs":  {subscribe("dialog", far), 403},
		"nobody's dialogs":           {subscribe("dialog", nobody), 404},
		"too brief":                  {subscribe("reg", alice, func(r *events.Request) { r.Expires = 59 }), 423},
		"no contact":                 {subscribe("reg", alice, func(r *events.Request) { r.Contact = "" }), 400},
		"dialog of an earlier life":  {subscribe("reg", alice, within("gone", 2, 600)), 481},
		"document not accepted":      {subscribe("reg", alice, func(r *events.Request) { r.Accept = []string{"text/plain"} }), 406},
		"document accepted": {subscribe("reg", alice, func(r *events.Request) {
			r.Accept = []string{"text/plain", "Application/RegInfo+XML;q=1"}
		}), 200},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := start(t, nil)
			r := ask(t, s, c.req)
			if r.Status != c.status {
				t.Fatalf("status %d, want %d", r.Status, c.status)
			}
			switch r.Status {
			case 200:
				eventually(t, "the first NOTIFY", func() bool { return len(w.sent()) == 1 })
				n := w.sent()[0]
				if n.URI != c.req.Contact || n.State != "active;expires=600" || n.CSeq != 1 || r.Expires != 600 ||
					n.To != "<sip:1001@pbx.example.org>;tag=theirs" || !strings.HasSuffix(n.From, ";tag=ours") {
					t.Errorf("%+v", n)
				}
			case 423:
				if r.MinExpires != 60 {
					t.Errorf("%+v", r)
				}
			case 489:
				if !r.Events || events.AllowEvents() != "reg, message-summary, dialog" {
					t.Errorf("%+v", r)
				}
			}
			if r.Status != 200 && len(w.sent()) != 0 {
				t.Error("a refused subscription was notified")
			}
		})
	}
}

func TestLifeOfASubscription(t *testing.T) {
	s, w := start(t, nil)
	ask(t, s, subscribe("reg", alice))
	eventually(t, "first", func() bool { return len(w.sent()) == 1 })
	if r := ask(t, s, subscribe("reg", alice, within("ours", 1, 600))); r.Status != 500 {
		t.Fatalf("a CSeq that was used: %d", r.Status)
	}
	thief := subscribe("reg", bob, within("ours", 5, 600), func(r *events.Request) { r.User = bob })
	if r := ask(t, s, thief); r.Status != 481 {
		t.Fatalf("another user in the dialog: %d", r.Status)
	}
	moved := subscribe("reg", alice, within("ours", 2, 99_999), func(r *events.Request) {
		r.Contact, r.Flow.ID = "sip:1001@192.0.2.2", 2
	})
	if r := ask(t, s, moved); r.Status != 200 || r.Expires != 7200 {
		t.Fatalf("refresh: %+v", r)
	}
	eventually(t, "second", func() bool { return len(w.sent()) == 2 })
	if n := w.sent()[1]; n.CSeq != 2 || n.Flow.ID != 2 || n.URI != "sip:1001@192.0.2.2" {
		t.Errorf("%+v", n)
	}
	if r := ask(t, s, subscribe("reg", alice, within("ours", 3, 0))); r.Status != 200 || r.Expires != 0 {
		t.Fatalf("end: %+v", r)
	}
	eventually(t, "last", func() bool { return len(w.sent()) == 3 })
	if n := w.sent()[2]; n.State != "terminated;reason=timeout" || n.CSeq != 3 {
		t.Errorf("%+v", n)
	}
	if r := ask(t, s, subscribe("reg", alice, within("ours", 4, 600))); r.Status != 481 {
		t.Errorf("after the end: %d", r.Status)
	}
}

func TestExpiryAndFetch(t *testing.T) {
	s, w := start(t, nil)
	ask(t, s, subscribe("dialog", bob))
	eventually(t, "first", func() bool { return len(w.sent()) == 1 })
	w.set(func() { w.now = w.now.Add(601 * time.Second) })
	eventually(t, "the end is told", func() bool { return len(w.sent()) == 2 })
	if n := w.sent()[1]; n.State != "terminated;reason=timeout" {
		t.Errorf("%+v", n)
	}
	ask(t, s, subscribe("dialog", bob, func(r *events.Request) { r.Expires = 0 }))
	eventually(t, "the answer to a question", func() bool { return len(w.sent()) == 3 })
	if got := s.Counters(); len(got.Subscriptions) != 0 || w.sent()[2].State != "terminated;reason=timeout" {
		t.Errorf("%+v", got)
	}
}

// Changes that come too fast are told together, in order and with the newest state.
func TestChangesAreToldTogether(t *testing.T) {
	s, w := start(t, nil)
	release := make(chan struct{})
	w.answer = func(events.Notify) (int, time.Duration, error) { <-release; return 200, 0, nil }
	ask(t, s, subscribe("reg", alice, func(r *events.Request) { r.EventID = "7" }))
	eventually(t, "first", func() bool { return len(w.sent()) == 1 })
	for i := range 10 {
		w.set(func() {
			w.bindings[alice] = []registration.Binding{{
				Contact: fmt.Sprintf("sip:1001:pw@192.0.2.%d;pn-prid=secret", i), Q: 500, Expires: w.now.Add(time.Minute), CallID: "c",
			}}
		})
		s.Changed("reg", alice)
	}
	s.Changed("reg", bob)
	close(release)
	w.set(func() { w.now = w.now.Add(2 * time.Second) })
	eventually(t, "second", func() bool { return len(w.sent()) == 2 })
	n := w.sent()[1]
	body := string(n.Content)
	for _, want := range []string{`version="1" state="full"`, `aor="sip:1001@pbx.example.org"`, `state="active"`,
		"<uri>sip:1001@192.0.2.9</uri>", `q="0.500"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	if strings.Contains(body, "secret") || strings.Contains(body, "pw") || n.Event != "reg;id=7" {
		t.Errorf("%s\n%s", n.Event, body)
	}
}

func TestDocuments(t *testing.T) {
	s, w := start(t, nil)
	w.waiting = events.Waiting{New: 2, Old: 3, UrgentNew: 1}
	w.dialogs[bob] = []events.Dialog{{ID: "d1", State: "confirmed", Initiator: true, Remote: alice, Since: w.now.Add(-time.Minute)}}
	ask(t, s, subscribe("message-summary", alice))
	ask(t, s, subscribe("dialog", bob))
	eventually(t, "both", func() bool { return len(w.sent()) == 2 })
	for _, n := range w.sent() {
		body := string(n.Content)
		switch n.Event {
		case "message-summary":
			if want := "Messages-Waiting: yes\r\nMessage-Account: sip:1001@pbx.example.org\r\nVoice-Message: 2/3 (1/0)\r\n"; body != want {
				t.Errorf("%q", body)
			}
		case "dialog":
			for _, want := range []string{`entity="sip:1002@pbx.example.org"`, `<dialog id="d1" direction="initiator">`,
				"<state>confirmed</state>", "<duration>60</duration>", "<identity>sip:1001@pbx.example.org</identity>"} {
				if !strings.Contains(body, want) {
					t.Errorf("no %s in\n%s", want, body)
				}
			}
		}
	}
}

func TestWhoTakesNoNotifyHasNoSubscription(t *testing.T) {
	for _, c := range []struct {
		status int
		again  time.Duration
		err    error
		stays  bool
	}{{481, 0, nil, false}, {481, time.Second, nil, false}, {0, 0, errors.New("no answer"), false}, {503, time.Second, nil, true}, {202, 0, nil, true}} {
		s, w := start(t, nil)
		w.answer = func(events.Notify) (int, time.Duration, error) { return c.status, c.again, c.err }
		ask(t, s, subscribe("reg", alice))
		eventually(t, "it is counted", func() bool { n := s.Counters(); return n.Failed+n.Notified == 1 })
		eventually(t, fmt.Sprint(c), func() bool { return (s.Counters().Subscriptions["reg"] == 1) == c.stays })
	}
}

// A NOTIFY that nobody answers ends, and with it its subscription; it is counted, stands in the user's timeline once, and leaves nothing.
func TestANotifyWithoutAnAnswerEnds(t *testing.T) {
	s, w := start(t, func(c *events.Config) { c.Deadline = 30 * time.Millisecond })
	w.set(func() { w.silent = true })
	for i, target := range []telephony.AoR{bob, alice} {
		ask(t, s, subscribe("dialog", target, func(r *events.Request) { r.CallID = fmt.Sprint("lamp-", i) }))
	}
	eventually(t, "both have failed", func() bool { return s.Counters().Failed == 2 })
	eventually(t, "nothing is left", func() bool { return s.Places() == 0 && len(s.Counters().Subscriptions) == 0 })
	s.Changed("dialog", bob)
	if n := len(w.sent()); n != 2 {
		t.Errorf("%d NOTIFYs", n)
	}
	if len(w.notes) != 1 || w.noted[0] != alice || w.notes[0].Code != 408 || w.notes[0].Account != "acc_1" || w.notes[0].Kind != timeline.Warning {
		t.Errorf("the timelines: %+v of %v", w.notes, w.noted)
	}
	w.set(func() { w.silent, w.now = false, w.now.Add(2*time.Minute) })
	if r := ask(t, s, subscribe("dialog", bob, within("ours", 2, 600), func(r *events.Request) { r.CallID = "lamp-0" })); r.Status != 481 {
		t.Errorf("a refresh of a subscription that is over got %d", r.Status)
	}
	ask(t, s, subscribe("dialog", bob, func(r *events.Request) { r.CallID = "anew" }))
	eventually(t, "it is told again", func() bool { return s.Counters().Notified == 1 })
}

// Who is too busy to take a NOTIFY hears the state when he wants to be asked again, once and not before, but is not left alone for ever.
func TestBusyPhoneIsToldAgain(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{20 * time.Second: 20 * time.Second, time.Hour: 5 * time.Minute} {
		s, w := start(t, nil)
		w.set(func() { w.answer = func(events.Notify) (int, time.Duration, error) { return 503, asked, nil } })
		ask(t, s, subscribe("dialog", bob))
		eventually(t, "it refuses", func() bool { return s.Counters().Failed == 1 && s.Quiet() })
		w.set(func() { w.answer, w.now = nil, w.now.Add(want-time.Second) })
		s.Changed("dialog", bob)          // too soon: it is told with what is owed
		time.Sleep(50 * time.Millisecond) // ten looks at what is due
		if n := len(w.sent()); n != 1 {
			t.Errorf("%d NOTIFYs before its time", n)
		}
		w.set(func() { w.now = w.now.Add(time.Second) })
		eventually(t, "it is told", func() bool { return s.Counters().Notified == 1 })
		state := fmt.Sprint("active;expires=", 600-int(want/time.Second))
		if n := w.sent()[1]; n.CSeq != 2 || n.State != state || !strings.Contains(string(n.Content), `version="1"`) || len(w.notes) != 0 {
			t.Errorf("%+v, %v", n, w.notes)
		}
		w.set(func() { w.now = w.now.Add(time.Minute) })
		time.Sleep(50 * time.Millisecond)
		if n := len(w.sent()); n != 2 {
			t.Errorf("%d NOTIFYs: what was taken is told once", n)
		}
	}
}

// Who subscribes and leaves again and again, or only asks, and answers no NOTIFY, has no more under way than his place allows.
func TestNotifiesThatNobodyAnswersAreBounded(t *testing.T) {
	for name, expires := range map[string][]int{"asks": {0}, "subscribes and leaves": {600, 0}} {
		s, w := start(t, func(c *events.Config) { c.PerUser, c.Total = 3, 5 })
		w.set(func() { w.silent = true })
		refused := map[telephony.AoR]int{}
		for i := range 20 {
			who := alice
			if i >= 10 {
				who = bob
			}
			for n, e := range expires {
				r := ask(t, s, subscribe("dialog", alice, func(r *events.Request) {
					r.CallID, r.CSeq, r.Expires, r.User = fmt.Sprint("call-", i), uint32(n+1), e, who
					if n > 0 {
						r.ToTag = "ours"
					}
				}))
				if n == 0 && r.Status != 200 {
					refused[who]++
				}
			}
		}
		eventually(t, "those that have a place are told", func() bool { return len(w.sent()) >= 5 })
		if len(w.sent()) != 5 || s.Places() != 5 || refused[alice] != 7 || refused[bob] != 8 {
			t.Errorf("%s: %d NOTIFYs, %d places, refused %v", name, len(w.sent()), s.Places(), refused)
		}
	}
}

func TestLimits(t *testing.T) {
	s, w := start(t, func(c *events.Config) { c.PerUser, c.Total = 2, 3 })
	statuses := []int{}
	for i := range 5 {
		statuses = append(statuses, ask(t, s, subscribe("reg", alice, func(r *events.Request) {
			r.CallID = fmt.Sprint("call-", i)
			if i > 2 {
				r.User, r.Target = bob, bob
			}
		})).Status)
	}
	if !slices.Equal(statuses, []int{200, 200, 403, 200, 503}) {
		t.Errorf("%v", statuses)
	}
	w.set(func() { w.away = true })
	if r := ask(t, s, subscribe("dialog", bob)); r.Status != 503 || r.RetryAfter == 0 {
		t.Errorf("directory away: %+v", r)
	}
	w.set(func() { w.panics = true })
	if r := ask(t, s, subscribe("reg", alice)); r.Status != 500 {
		t.Errorf("panic: %+v", r)
	}
}

// Over TCP a SUBSCRIBE that comes once more, with nothing new but its credentials, is no retransmission that a transaction knows. It
// stands in the place of the first.
func TestTheSameSubscriptionAgain(t *testing.T) {
	s, w := start(t, func(c *events.Config) { c.PerUser = 3 })
	for range 5 {
		if r := ask(t, s, subscribe("reg", alice)); r.Status != 200 {
			t.Fatalf("%d %s", r.Status, r.Reason)
		}
	}
	if r := ask(t, s, subscribe("reg", alice, within("ours", 2, 0))); r.Status != 200 {
		t.Errorf("it cannot be ended: %d", r.Status)
	}
	eventually(t, "nothing is left", func() bool { return len(s.Counters().Subscriptions) == 0 && s.Places() == 0 })
	for i := range 3 {
		if r := ask(t, s, subscribe("reg", alice, func(r *events.Request) { r.CallID = fmt.Sprint(i) })); r.Status != 200 {
			t.Errorf("what was ended still counts: %d %s", r.Status, r.Reason)
		}
	}
	s.Changed("reg", alice)
	eventually(t, "the ones that stand are told", func() bool { return len(w.sent()) >= 3 })
	used := make(map[uint32]bool)
	for _, n := range w.sent() {
		if n.CallID == "call-1" && used[n.CSeq] {
			t.Errorf("two NOTIFYs with CSeq %d in one dialog (RFC 3261 §12.2.1.1)", n.CSeq)
		}
		used[n.CSeq] = n.CallID == "call-1" || used[n.CSeq]
	}
}

// A phone that loses its connection again and again subscribes anew each time. What it had on the closed ones must not take its places.
func TestClosedFlowEndsItsSubscriptions(t *testing.T) {
	s, w := start(t, func(c *events.Config) { c.PerUser = 2 })
	over := func(id uint64, call string) func(*events.Request) {
		return func(r *events.Request) { r.Flow.ID, r.CallID = id, call }
	}
	for id := uint64(1); id <= 5; id++ {
		if r := ask(t, s, subscribe("reg", alice, over(id, fmt.Sprint(id)))); r.Status != 200 {
			t.Fatalf("connection %d: %d %s", id, r.Status, r.Reason)
		}
		eventually(t, "it is told", func() bool { return len(w.sent()) == int(id) })
		s.FlowClosed(telephony.Flow{ID: id, Transport: telephony.TLS})
		eventually(t, "its place is free", func() bool { return s.Places() == 0 })
	}
	if n := s.Counters().Subscriptions["reg"]; n != 0 {
		t.Errorf("%d subscriptions are left on closed connections", n)
	}
	ask(t, s, subscribe("reg", alice, over(6, "moves")))
	ask(t, s, subscribe("reg", alice, over(7, "moves"), within("ours", 2, 600)))
	ask(t, s, subscribe("dialog", bob, over(6, "behind a proxy"), func(r *events.Request) { r.Route = []string{"<sip:proxy;lr>"} }))
	eventually(t, "all are told", func() bool { return len(w.sent()) == 8 })
	s.FlowClosed(telephony.Flow{ID: 6, Transport: telephony.TLS})
	if n := s.Counters().Subscriptions; n["reg"] != 1 || n["dialog"] != 1 {
		t.Errorf("who moved on, and who is behind a proxy that may be called again, keeps it: %v", n)
	}
	s.FlowClosed(telephony.Flow{ID: 7, Transport: telephony.TLS})
	if n := s.Counters().Subscriptions; n["reg"] != 0 {
		t.Errorf("its new connection has closed too: %v", n)
	}
}

// A NOTIFY that panics costs its subscription; others go on, and the phone may subscribe anew.
// A refresh that comes while its subscription ends must not be told that it stands: the phone would show the same for an hour.
func TestARefreshThatComesAtTheEndIsTold(t *testing.T) {
	var s *events.Service
	var closing atomic.Bool
	s, w := start(t, func(c *events.Config) {
		clock := c.Now
		c.Now = func() time.Time {
			if closing.CompareAndSwap(true, false) {
				s.FlowClosed(telephony.Flow{ID: 1})
			}
			return clock()
		}
		c.Tick = time.Hour // the refresh alone asks for the time
	})
	if r := ask(t, s, subscribe("reg", alice)); r.Status != 200 {
		t.Fatalf("%+v", r)
	}
	eventually(t, "the first NOTIFY has ended", func() bool { return len(w.sent()) == 1 && s.Quiet() })
	closing.Store(true)
	if r := ask(t, s, subscribe("reg", alice, within("ours", 2, 600))); r.Status != 481 {
		t.Errorf("a refresh of what has just ended is told %+v", r)
	}
	if n := s.Places(); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}

func TestPanicCostsOneSubscription(t *testing.T) {
	s, w := start(t, nil)
	w.set(func() {
		w.answer = func(n events.Notify) (int, time.Duration, error) {
			if n.Event == "dialog" {
				panic("secret-canary")
			}
			return 200, 0, nil
		}
	})
	ask(t, s, subscribe("dialog", bob))
	eventually(t, "it is gone", func() bool { return s.Counters().Subscriptions["dialog"] == 0 })
	ask(t, s, subscribe("reg", alice))
	eventually(t, "the other is told", func() bool { return s.Counters().Notified == 1 })
	w.set(func() { w.answer = nil })
	ask(t, s, subscribe("dialog", bob))
	eventually(t, "the next is told", func() bool { return s.Counters().Notified == 2 })
	if c := s.Counters(); c.Panics != 1 || c.Subscriptions["dialog"] != 1 {
		t.Errorf("%+v", c)
	}
}

func TestStopSaysGoodbye(t *testing.T) {
	s, w := start(t, nil)
	ask(t, s, subscribe("reg", alice))
	eventually(t, "first", func() bool { return len(w.sent()) == 1 })
	_ = s.Stop(t.Context())
	sent := w.sent()
	if len(sent) != 2 || sent[1].State != "terminated;reason=deactivated" {
		t.Errorf("%+v", sent)
	}
	s.Changed("reg", alice)
	if len(w.sent()) != 2 {
		t.Error("notified after the stop")
	}
}

// Who is just being told something when the stop begins hears goodbye after that.
func TestStopSaysGoodbyeAfterWhatIsUnderWay(t *testing.T) {
	s, w := start(t, nil)
	told, answer := make(chan struct{}), make(chan struct{})
	w.answer = func(n events.Notify) (int, time.Duration, error) {
		if n.CSeq == 1 {
			close(told)
			<-answer
		}
		return 200, 0, nil
	}
	ask(t, s, subscribe("reg", alice))
	<-told
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = s.Stop(t.Context())
	}()
	eventually(t, "the stop has begun", func() bool { return s.Counters().Subscriptions["reg"] == 0 })
	close(answer)
	<-stopped
	if sent := w.sent(); len(sent) != 2 || sent[1].State != "terminated;reason=deactivated" {
		t.Errorf("%+v", sent)
	}
}

// Phones subscribe anew as soon as they hear goodbye, while the edge still stands: whoever gets no answer holds up its stop.
func TestWhoComesDuringAndAfterTheStopIsAnswered(t *testing.T) {
	s, _ := start(t, nil)
	var asked, answered atomic.Int64
	come := func() {
		asked.Add(1)
		s.Subscribe(t.Context(), subscribe("reg", alice), func(events.Reply) { answered.Add(1) })
	}
	stopped := make(chan struct{})
	var phones sync.WaitGroup
	for range 4 {
		phones.Go(func() {
			for {
				come()
				select {
				case <-stopped:
					return
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(stopped)
	phones.Wait()
	come()
	eventually(t, "an answer to each", func() bool { return answered.Load() == asked.Load() })
	if r := ask(t, s, subscribe("reg", alice)); r.Status != 503 || r.RetryAfter == 0 {
		t.Errorf("%+v", r)
	}
}

// The edge learns who proved who he is, and who did not: its limits and its transactions stand on that.
func TestSenderIsTold(t *testing.T) {
	s, _ := start(t, nil)
	for name, c := range map[string]struct {
		change func(*events.Request)
		want   registration.Sender
	}{
		"allowed":          {func(*events.Request) {}, registration.Proven},
		"too brief":        {func(r *events.Request) { r.Expires = 5 }, registration.Proven},
		"an unknown lamp":  {func(r *events.Request) { r.Target = nobody }, registration.Proven},
		"without a digest": {func(r *events.Request) { r.Authorize = nil }, registration.Unproven},
		"unknown package":  {func(r *events.Request) { r.Event = "x" }, registration.Unproven},
	} {
		if r := ask(t, s, subscribe("dialog", alice, c.change)); r.Sender != c.want {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
