package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
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
	h.begun = h.stored() // before phones ask the next life for what they have asked this one
	h.start()
	eventually(r.t, "all calls of the earlier life are closed", func() (bool, any) {
		live, err := h.calls("&live=true")
		return err == nil && len(live) == 0, fmt.Sprint(len(live), err)
	})
	w.era.Add(1)
	w.each(func(p *phone) {
		p.doubt()
		if p.transport == "udp" {
			p.register()
		}
	})
}
