package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// firstSeed is that of the first round's choices.
const firstSeed = 20261129

// Phones do whatever they like, and nothing that they do breaks a call of others, is left behind, or goes untold.
func TestPhonesDoAnythingAtOnce(t *testing.T) {
	wild, until := 4*time.Second, time.Time{}
	if text := os.Getenv("DEMARC_CHAOS_FOR"); text != "" {
		lasts, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		wild, until = 30*time.Second, time.Now().Add(lasts)
	}
	seed := rand.Uint64N(1 << 32)
	if text := os.Getenv("DEMARC_CHAOS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	h := newHouse(t)
	w, err := newWorld(h)
	if err != nil {
		t.Fatal(err)
	}
	w.hurried = until.IsZero()
	t.Cleanup(func() { close(w.over) })
	r := &rounds{t: t, house: h, world: w}
	r.registered()
	r.before = h.remains()
	r.run(firstSeed, wild, false, false)
	for again := true; again; again = time.Now().Before(until) {
		t.Logf("the next seed is %d", seed)
		r.run(seed, wild, true, true)
		seed++
	}
	t.Log(w.told())
}

// rounds are what the test does with phones and gateway.
type rounds struct {
	t      *testing.T
	house  *house
	world  *world
	before remains
	began  time.Time
}

// registered waits until all phones are.
func (r *rounds) registered() {
	r.t.Helper()
	eventually(r.t, "all phones are registered", func() (bool, any) {
		missing := 0
		r.world.each(func(p *phone) {
			if p.out() {
				missing++
			}
		})
		return missing == 0, missing
	})
}

// run is one round: wild, calm and, unless its calls go on in the next one, silent.
func (r *rounds) run(seed uint64, wild time.Duration, restart, silence bool) {
	r.t.Helper()
	r.began = time.Now()
	w := r.world
	w.calm.Store(false)
	w.each(func(p *phone) {
		p.whims.Rand = rand.New(rand.NewPCG(seed, uint64(p.number)))
		p.lives()
	})
	r.operate(seed, wild, restart)
	w.calm.Store(true)
	r.registered()
	r.settled()
	r.agree()
	if silence {
		r.silence()
	}
	w.mu.Lock()
	faults := w.faults
	w.faults = nil
	w.mu.Unlock()
	for _, f := range faults {
		r.t.Errorf("round with the seed %d: %s", seed, f)
	}
	if r.t.Failed() {
		r.t.Log(w.told())
		r.t.FailNow()
	}
}

// silence lets all phones say nothing until the longest timer has run out, and looks at what is left.
func (r *rounds) silence() {
	r.t.Helper()
	w := r.world
	w.silent.Store(true)
	r.empty()
	r.history()
	r.compare()
	w.round.Add(1)
	w.each((*phone).forgetAll)
	w.silent.Store(false)
}

// operate has an operator do things with calls while the phones are wild, and stops and starts the gateway halfway.
func (r *rounds) operate(seed uint64, wild time.Duration, restart bool) {
	r.t.Helper()
	by := &whims{rand.New(rand.NewPCG(seed, 1<<20)), r.world}
	for began := time.Now(); time.Since(began) < wild; time.Sleep(by.soon(50, 300)) {
		if restart && time.Since(began) > wild/2 {
			restart = false
			r.restart(by)
			began = time.Now().Add(-wild / 2)
		}
		live, err := r.house.calls("&live=true")
		if err != nil {
			r.t.Error(err)
		}
		if len(live) < 2 {
			continue
		}
		one, other := live[by.below(len(live))], live[by.below(len(live))]
		switch leg := by.between(1, 4); by.below(6) {
		case 0:
			r.house.command("DELETE", one.ID, "")
		case 1:
			r.house.command("POST", one.ID+"/transfer", fmt.Sprintf(`{"leg":%d,"to":%q}`, leg, r.world.somebody(by)))
		case 2:
			r.house.command("POST", one.ID+"/conference", fmt.Sprintf(`{"leg":%d,"with":%q}`, leg, other.ID))
		}
	}
}

// restart stops the gateway or kills it, and starts it again. Phones with a connection come back to it by themselves.
func (r *rounds) restart(by *whims) {
	r.t.Helper()
	h, w := r.house, r.world
	w.era.Add(1)
	w.each((*phone).doubt)
	how := syscall.SIGTERM
	if by.one(2) {
		how = syscall.SIGKILL
	}
	r.noPanic()
	w.count("gateway: " + how.String())
	h.end(how)
	h.start()
	eventually(r.t, "all calls of the earlier life are closed", func() (bool, any) {
		live, err := h.calls("&live=true")
		return err == nil && len(live) == 0, fmt.Sprint(len(live), err)
	})
	all, err := h.calls("")
	if err != nil {
		r.t.Fatal(err)
	}
	h.begun = float64(len(all))
	w.era.Add(1)
	w.each(func(p *phone) {
		p.doubt()
		if p.transport == "udp" {
			p.register()
		}
	})
}

// settled waits until every INVITE has its final response.
func (r *rounds) settled() {
	r.t.Helper()
	eventually(r.t, "every INVITE has a final response", func() (bool, any) {
		var waiting []string
		r.world.each(func(p *phone) {
			for _, c := range p.clients {
				if c.method == "INVITE" && !c.over && !c.excused {
					waiting = append(waiting, fmt.Sprintf("%s since %s:\n  %s", p, c.began.Format("05.000"), strings.Join(c.d.told, "\n  ")))
				}
			}
		})
		return len(waiting) == 0, waiting
	})
	time.Sleep(3 * t2) // what was lost comes again meanwhile
}

// agree asks the gateway which dialogs stand: phones and gateway think the same.
func (r *rounds) agree() {
	probe := func(d *dialog, stands bool) {
		if d.doubtful || d.theirs == "" {
			return
		}
		d.p.world.count("probed")
		d.p.ask(&client{d: d, method: "OPTIONS", uri: d.target, on: func(m *message) {
			switch {
			case m == nil:
			case stands && m.status == 481:
				d.gone(m)
			case !stands && m.status != 481:
				d.p.blame(d, "a dialog that is over was answered %d", m.status)
			case stands && m.status != 200:
				d.p.blame(d, "a dialog that stands was answered %d", m.status)
			}
		}})
	}
	r.world.each(func(p *phone) {
		for _, d := range p.dialogs {
			if d.confirmed && !d.over {
				probe(d, true)
			}
		}
		for _, d := range p.past {
			probe(d, false)
		}
		p.past = nil
	})
	eventually(r.t, "all phones know which dialogs stand", func() (bool, any) {
		waiting := 0
		r.world.each(func(p *phone) {
			waiting += p.doubts
			for _, c := range p.clients {
				if c.method == "OPTIONS" && !c.over {
					waiting++
				}
			}
		})
		return waiting == 0, waiting
	})
}

// empty waits until no call, media and transaction is left.
func (r *rounds) empty() {
	r.t.Helper()
	eventually(r.t, "nothing is left of the calls", func() (bool, any) {
		calls, legs := r.house.metric("demarc_calls_live"), r.house.metric("demarc_media_legs")
		ports, txs := r.house.metric("demarc_media_ports", `state="used"`), r.house.metric("demarc_sip_transactions")
		return calls == 0 && legs == 0 && txs == 0 && ports == 0,
			fmt.Sprintf("%.0f calls, %.0f legs, %.0f ports, %.0f transactions", calls, legs, ports, txs)
	})
	r.noPanic()
}

func (r *rounds) noPanic() {
	r.t.Helper()
	for _, name := range []string{"demarc_sip_panics_total", "demarc_sip_replies_dropped_total", "demarc_call_history_dropped_total"} {
		if n := r.house.metric(name); n != 0 {
			r.t.Errorf("%s is %.0f", name, n)
		}
	}
}

// history looks at what the store tells of the calls: each has ended once, with a cause on every leg.
func (r *rounds) history() {
	r.t.Helper()
	begun := r.house.begun + r.house.metric("demarc_calls_total", `outcome="begun"`)
	var all []call
	eventually(r.t, "all calls are in history", func() (bool, any) {
		var err error
		if all, err = r.house.calls(""); err != nil {
			return false, err
		}
		return float64(len(all)) == begun, fmt.Sprintf("%d of %.0f calls", len(all), begun)
	})
	seen := make(map[string]bool)
	for _, c := range all {
		if seen[c.ID] {
			r.t.Errorf("the call %s stands twice", c.ID)
		}
		seen[c.ID] = true
		if c.State != "ended" || c.EndedAt.IsZero() || c.Cause.Code == 0 || c.Cause.Who == "" || c.Cause.Text == "" {
			r.t.Errorf("the call is over, and history says %+v", c)
		}
		for _, l := range c.Legs {
			if l.EndedAt.IsZero() || l.Cause.Code == 0 || l.Cause.Who == "" || l.Cause.Text == "" {
				r.t.Errorf("leg %d of %s is over, and history says %+v", l.Leg, c.ID, c)
			}
		}
	}
	r.t.Logf("%d calls in history after %s", len(all), time.Since(r.began).Round(time.Second))
}

// How much more a gateway may hold that has had calls: memory that it uses again, and a goroutine that answers us.
const (
	room            = 24 << 20
	spareGoroutines = 2
)

// compare holds what is left against what there was before.
func (r *rounds) compare() {
	r.t.Helper()
	var now remains
	eventually(r.t, "goroutines and heap are as before", func() (bool, any) {
		now = r.house.remains()
		return now.goroutines <= r.before.goroutines+spareGoroutines && now.heap <= r.before.heap+room, fmt.Sprintf("%+v, before %+v", now, r.before)
	})
	r.t.Logf("%d goroutines, %d kB of heap", now.goroutines, now.heap>>10)
}
