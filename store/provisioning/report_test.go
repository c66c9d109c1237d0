package provisioning_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/cloudlink"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/store/storetest"
	"demarc/telephony"
)

func failed(code int, cause string) rules.RegistrationReport {
	text := ""
	if code == 401 {
		text = "Unauthorized"
	}
	return rules.RegistrationReport{Outcome: rules.ReportFailed, Code: code, Text: text, Cause: cause}
}

func good(expires time.Duration) rules.RegistrationReport {
	return rules.RegistrationReport{Outcome: rules.ReportRegistered, Code: 200, Expires: expires, Registrar: "sbc:5061"}
}

// reporting is a bench with one enrolled device.
type reporting struct {
	*bench
	device rules.DeviceID
	inst   string
	feed   *feed
}

func newReporting(t *testing.T, db *store.DB) *reporting {
	b := newBench(t, db)
	b.users(1)
	b.sync()
	e := b.enrol("user0@", cloudlink.Desktop)
	return &reporting{bench: b, device: e.Device.ID, inst: e.Device.Instance, feed: &feed{}}
}

func (r *reporting) report(rep rules.RegistrationReport) {
	r.Helper()
	r.sleep(time.Second)
	r.must(r.svc.Report(r.Context(), r.actor.Account, r.device, rep))
}

// see lets the registrar's own feed speak of the device.
func (r *reporting) see(kind telephony.RegistrationChangeKind) {
	r.Helper()
	ch := r.change(kind, r.inst)
	if kind == telephony.RegisterRefused {
		ch.Code, ch.Text = 401, "The registrar's own words."
	}
	r.feed.add(ch)
	r.must(r.svc.CatchUp(r.Context(), r.feed))
}

func (r *reporting) is(state rules.SyncState, text string) {
	r.Helper()
	r.must(r.svc.LapseDue(r.Context()))
	if st := r.status("user0@"); st.State != state || !strings.Contains(st.Text, text) {
		r.Fatalf("%s %q, want %s %q\n%s", st.State, st.Text, state, text, r.told(st.User.ID))
	}
}

func TestReportRunsOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newReporting(t, db)
		b.report(good(600 * time.Second))
		b.sleep(599 * time.Second)
		b.is(rules.Registered, "")
		b.report(good(600 * time.Second)) // refreshed in the last second
		confirmed := b.now()
		b.sleep(599 * time.Second)
		b.is(rules.Registered, "")
		b.sleep(time.Second)
		at := confirmed.Format("2006-01-02 15:04:05 UTC")
		b.is(rules.Inactive, "its registration was last confirmed at "+at+" and ran out")
		b.is(rules.Inactive, "ran out")
		told := b.told(b.status("user0@").User.ID)
		if strings.Count(told, "ran out") != 1 || strings.Count(told, "Laptop registered at") != 1 {
			t.Errorf("timeline:\n%s", told)
		}

		b.report(good(0)) // as long as its credential asks for: 600 s
		b.sleep(599 * time.Second)
		b.is(rules.Registered, "")
		b.sleep(time.Second)
		b.is(rules.Inactive, "ran out")

		b.report(good(time.Hour))
		b.report(rules.RegistrationReport{Outcome: rules.ReportStopped})
		b.is(rules.Inactive, "stopped")
		b.sleep(2 * time.Hour)
		b.is(rules.Inactive, "stopped")

		late := good(time.Minute)
		late.Age = 2 * time.Minute
		b.report(late)
		b.is(rules.Inactive, "stopped")

		b.report(good(time.Minute))
		b.report(failed(503, rules.CauseSIP))
		b.sleep(time.Hour)
		b.is(rules.SIPError, "503")
	})
}

// The later word counts, the feed's always, and a registration that the feed knows does not run out by reports.
func TestReportsBesideTheFeed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newReporting(t, db)
		b.see(telephony.BindingRegistered)
		b.report(good(time.Minute))
		b.sleep(time.Hour)
		b.is(rules.Registered, "")
		b.see(telephony.BindingFlowClosed)
		b.is(rules.Inactive, "connection closed")

		old := good(time.Hour) // happened before the connection closed
		old.Age = 10 * time.Second
		b.report(old)
		b.is(rules.Inactive, "connection closed")
		b.report(good(time.Minute)) // at another PBX, whose registrar says nothing
		b.is(rules.Registered, "")
		b.sleep(time.Minute)
		b.is(rules.Inactive, "ran out")

		b.report(good(time.Minute))
		b.see(telephony.BindingRegistered)
		b.sleep(time.Hour)
		b.is(rules.Registered, "")
		stopped := rules.RegistrationReport{Outcome: rules.ReportStopped, Age: 30 * time.Minute}
		b.report(stopped)
		b.is(rules.Inactive, "stopped")
		b.see(telephony.BindingRegistered)
		b.report(stopped)
		b.is(rules.Registered, "")

		b.report(failed(0, rules.CauseTLSUntrusted)) // which no registrar ever sees
		b.is(rules.SIPError, "trust")
		b.see(telephony.RegisterRefused)
		b.report(failed(401, rules.CauseSIP))
		b.is(rules.SIPError, "The registrar's own words.")
		b.report(failed(503, rules.CauseSIP))
		b.is(rules.SIPError, "503")
	})
}

// The feed is read a moment after the fact: meanwhile the phone may have told that its registration is over.
func TestLateFeedDoesNotUndoAReport(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newReporting(t, db)
		b.report(good(time.Minute))
		late := []telephony.RegistrationChange{
			b.change(telephony.BindingRegistered, b.inst), b.change(telephony.BindingFlowClosed, b.inst),
		}
		b.report(failed(0, rules.CauseTimeout))
		for _, ch := range late {
			b.feed.add(ch)
			b.must(b.svc.CatchUp(t.Context(), b.feed))
			b.is(rules.SIPError, "No answer")
		}
		b.see(telephony.BindingRegistered)
		b.is(rules.Registered, "")
	})
}

func TestLapseOfManyByManyProcesses(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newReporting(t, db)
		for range 30 {
			e := b.enrol("user0@", cloudlink.Desktop)
			b.must(b.svc.Report(t.Context(), b.actor.Account, e.Device.ID, good(time.Minute)))
		}
		b.report(good(time.Hour))
		b.sleep(2 * time.Minute)
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				if err := b.svc.LapseDue(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		states := map[rules.SyncState]int{}
		for _, d := range b.status("user0@").Devices {
			states[d.State]++
		}
		entries, err := b.svc.Timeline(t.Context(), b.actor.Account, b.status("user0@").User.ID, 1000)
		b.must(err)
		told := 0
		for _, e := range entries {
			if strings.Contains(e.Text, "ran out") {
				told++
			}
		}
		if states[rules.Inactive] != 30 || states[rules.Registered] != 1 || told != 30 {
			t.Errorf("states %v, told %d times", states, told)
		}
	})
}
