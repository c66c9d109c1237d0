package chaos_test

import (
	"fmt"
	"strings"
	"time"
)

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
