package lamps_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/events"
	"demarc/telephony/lamps"
)

var bob = telephony.NewAoR("1002", "pbx.example.org")

// far is the other node: its calls, and what it answers.
type far struct {
	mu      sync.Mutex
	teller  *lamps.Teller
	dialogs map[telephony.AoR][]events.Dialog
	broken  error
	there   bool
	asked   int
	largest int
}

func (n *far) Dialogs(_ context.Context, acc account.ID, aor telephony.AoR) ([]events.Dialog, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if acc != "acc_1" {
		return nil, fmt.Errorf("account %q", acc)
	}
	return n.dialogs[aor], nil
}

// calls has an extension be in so many calls.
func (n *far) calls(aor telephony.AoR, number int) {
	n.mu.Lock()
	n.dialogs[aor] = nil
	for i := range number {
		n.dialogs[aor] = append(n.dialogs[aor], events.Dialog{ID: fmt.Sprint("call-", i), State: "confirmed", Remote: bob, Since: time.Now()})
	}
	n.mu.Unlock()
	n.teller.Changed(aor)
}

func (n *far) ask(ctx context.Context, _ string, question []byte) ([]byte, error) {
	n.mu.Lock()
	broken, teller := n.broken, n.teller
	n.asked++
	n.mu.Unlock()
	if broken != nil {
		return nil, broken
	}
	var q lamps.Question
	if err := json.Unmarshal(question, &q); err != nil {
		return nil, err
	}
	answer, err := teller.Answer(ctx, q)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken != nil { // meanwhile
		return nil, n.broken
	}
	n.largest = max(n.largest, len(text), len(question))
	return text, err
}

func (n *far) set(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

// near is this node, and what its watchers have heard.
type near struct {
	*lamps.Follower
	t    *testing.T
	mu   sync.Mutex
	told map[telephony.AoR]int
}

// follow runs a test with this node and another one, in time of its own.
func follow(t *testing.T, test func(t *testing.T, here *near, there *far)) {
	synctest.Test(t, func(t *testing.T) {
		there := &far{dialogs: make(map[telephony.AoR][]events.Dialog), there: true}
		there.teller = lamps.NewTeller(there)
		here := &near{t: t, told: make(map[telephony.AoR]int)}
		here.Follower = lamps.NewFollower(lamps.Config{
			Node: "n1", Ask: there.ask, Log: slog.New(slog.DiscardHandler),
			Nodes: func() []string {
				there.mu.Lock()
				defer there.mu.Unlock()
				if there.there {
					return []string{"n1", "n2"}
				}
				return []string{"n1"}
			},
			Changed: func(aor telephony.AoR) {
				here.Dialogs(aor) // as who is told does
				here.mu.Lock()
				defer here.mu.Unlock()
				here.told[aor]++
			},
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- here.Run(ctx) }()
		test(t, here, there)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// shines checks how many dialogs of bob are known after a while.
func (n *near) shines(after time.Duration, want int, when string) {
	n.t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if got := len(n.Dialogs(bob)); got != want {
		n.t.Errorf("%s: %d dialogs, want %d", when, got, want)
	}
}

func (n *near) heard() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.told[bob]
}

const moment = time.Millisecond

func TestLampShinesForACallAtAnotherNode(t *testing.T) {
	follow(t, func(t *testing.T, here *near, there *far) {
		there.calls(bob, 1)
		here.shines(time.Minute, 0, "nobody watches")
		if there.asked != 0 {
			t.Errorf("%d questions while nobody watches", there.asked)
		}
		here.Watch("acc_1", bob)
		here.shines(2*time.Second, 1, "a call that was there before")
		there.calls(bob, 2)
		here.shines(moment, 2, "a second one")
		here.shines(time.Hour, 2, "nothing happens")
		if n := here.heard(); n != 2 {
			t.Errorf("the watcher was told %d times, want 2", n)
		}
		there.calls(bob, 0)
		here.shines(moment, 0, "all have ended")
		there.calls(bob, 1)
		here.shines(moment, 1, "one more")
		here.Unwatch(bob)
		here.shines(0, 0, "nobody watches any more")
		here.Watch("acc_1", bob)
		here.shines(moment, 1, "somebody watches anew")
		here.Unwatch(bob)
		synctest.Wait()
		told := here.heard()
		there.calls(bob, 3)
		asked := there.asked
		if here.shines(time.Hour, 0, "unwatched"); here.heard() != told || there.asked != asked {
			t.Error("what nobody watches is told, or asked for")
		}
	})
}

// A node that is killed takes its lamps along: it answers nothing any more, or is known to be gone.
func TestLampsOfANodeThatIsGoneGoOut(t *testing.T) {
	follow(t, func(t *testing.T, here *near, there *far) {
		here.Watch("acc_1", bob)
		there.calls(bob, 1)
		here.shines(5*time.Second, 1, "a call")
		there.set(func() { there.broken = errors.New("connection refused") })
		there.calls(bob, 2) // lets the question that waits fail
		here.shines(10*time.Second, 1, "it may come back")
		here.shines(12*time.Second, 0, "it does not")
		if n := here.Losses(); n != 1 || here.heard() != 2 {
			t.Errorf("%d losses are counted, the watcher was told %d times", n, here.heard())
		}
		here.shines(time.Hour, 0, "for long")
		if n := here.Losses(); n != 1 {
			t.Errorf("%d losses are counted", n)
		}
		there.set(func() { there.broken = nil })
		here.shines(2*time.Second, 2, "it is back")

		there.set(func() { there.there = false })
		here.shines(2*time.Second, 0, "its lease is over")
		there.set(func() { there.there = true })
		here.shines(4*time.Second, 2, "it has one again")
	})
}

// A node that has started anew knows nothing of who watches: it is told again, and what it told in its last life counts no more.
func TestLampsOfANodeThatStartsAnew(t *testing.T) {
	follow(t, func(t *testing.T, here *near, there *far) {
		here.Watch("acc_1", bob)
		there.calls(bob, 1)
		here.shines(5*time.Second, 1, "a call")
		there.set(func() {
			there.teller = lamps.NewTeller(there)
			there.dialogs[bob] = nil
		})
		here.shines(20*time.Second, 0, "it has none in its new life")
		there.calls(bob, 1)
		here.shines(moment, 1, "a call of the new life")
	})
}

// However many are watched and however much they do, no message between nodes is larger than may be.
func TestMessagesAboutLampsAreBounded(t *testing.T) {
	follow(t, func(t *testing.T, here *near, there *far) {
		name := func(i int) telephony.AoR {
			return telephony.NewAoR(fmt.Sprintf("%04d%s", i, strings.Repeat("x", 250)), strings.Repeat("long.", 50)+"example")
		}
		for i := range 1000 {
			there.calls(name(i), 40)
			here.Watch("acc_1", name(i))
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		for i := range 1000 {
			if n := len(here.Dialogs(name(i))); n != 32 {
				t.Fatalf("%d dialogs of the %dth", n, i)
			}
		}
		if there.largest > 64<<10 {
			t.Errorf("a message of %d bytes", there.largest)
		}
	})
}

// Who does not ask any more is forgotten, and who names too many is refused.
func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there := &far{dialogs: make(map[telephony.AoR][]events.Dialog)}
		there.teller = lamps.NewTeller(there)
		ask := func(q lamps.Question) (lamps.Answer, error) { return there.teller.Answer(t.Context(), q) }
		if a, err := ask(lamps.Question{Node: "n1", Session: "s", Wait: true}); err != nil || !a.Unknown {
			t.Errorf("a session that was never begun: %+v, %v", a, err)
		}
		many := make([]lamps.Extension, 50_001)
		for i := range many {
			many[i] = lamps.Extension{Account: "acc_1", AoR: telephony.NewAoR(fmt.Sprint(i), "d")}
		}
		if _, err := ask(lamps.Question{Node: "n2", Session: "s", Begin: true, Watch: many}); err == nil {
			t.Error("too many are taken")
		}
		if a, err := ask(lamps.Question{Node: "n1", Session: "s", Begin: true}); err != nil || a.Unknown {
			t.Errorf("a session begins: %+v, %v", a, err)
		}
		time.Sleep(3 * time.Minute)
		if a, err := ask(lamps.Question{Node: "n1", Session: "s", Wait: true}); err != nil || !a.Unknown {
			t.Errorf("a session of which nothing was heard for long: %+v, %v", a, err)
		}
	})
}
