package provisioning_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"demarc/cloudlink"
	. "demarc/provisioning"
)

// The whole table, written out: one row per state, in the order of Events.
func TestNext(t *testing.T) {
	want := map[SyncState][]SyncState{
		//          arrived   lost     came_on     took_back lapsed    failed
		Pending:    {Inactive, Pending, Registered, Pending, Pending, Pending},
		Inactive:   {Inactive, Pending, Registered, Inactive, Inactive, SIPError},
		Registered: {Registered, Pending, Registered, Inactive, Inactive, SIPError},
		SIPError:   {SIPError, Pending, Registered, Inactive, SIPError, SIPError},
	}
	if len(want) != len(States()) {
		t.Fatal("a state is missing in this table")
	}
	for s, row := range want {
		for i, e := range Events() {
			if got := Next(s, e); got != row[i] {
				t.Errorf("Next(%s, %s) = %s, want %s", s, e, got, row[i])
			}
		}
	}
}

func TestStateTableShowsEveryPair(t *testing.T) {
	table := StateTable()
	for _, s := range States() {
		for _, e := range Events() {
			to := Next(s, e)
			if to != s && !strings.Contains(table, "    "+string(s)+" --> "+string(to)+": "+string(e)+"\n") {
				t.Errorf("the diagram lacks %s --%s--> %s", s, e, to)
			}
		}
	}
	if strings.Count(table, "\n| **") != len(States()) {
		t.Errorf("the table does not have one row per state:\n%s", table)
	}
}

// Whatever happens: an error has a text, a registered device has none, and the last registration is remembered.
func TestDeviceInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := Device{State: rapid.SampledFrom([]SyncState{Pending, Inactive}).Draw(t, "start")}
		now := time.Unix(1000, 0)
		var on time.Time
		for range rapid.IntRange(1, 30).Draw(t, "events") {
			now = now.Add(time.Second)
			e := Event{Kind: rapid.SampledFrom(Events()).Draw(t, "event"), At: now, Text: "because"}
			if e.Kind == Failed {
				e.Code = rapid.SampledFrom([]int{0, 401, 403, 503}).Draw(t, "code")
			}
			before := d
			changed := d.Happen(e)
			if e.Kind == CameOn {
				on = now
			}
			switch {
			case d.State != Next(before.State, e.Kind):
				t.Fatalf("%s --%s--> %s", before.State, e.Kind, d.State)
			case d.State == SIPError && d.SIPText == "":
				t.Fatal("an error without text")
			case d.State == Registered && (d.SIPText != "" || d.SIPCode != 0):
				t.Fatalf("registered with %d %q", d.SIPCode, d.SIPText)
			case d.State != SIPError && d.SIPCode != 0:
				t.Fatalf("%s with code %d", d.State, d.SIPCode)
			case !d.LastRegistered.Equal(on):
				t.Fatalf("last registered %v, want %v", d.LastRegistered, on)
			case changed != (d.ChangedAt != before.ChangedAt):
				t.Fatal("the change and its time do not agree")
			case !changed && d.State != before.State:
				t.Fatal("a change in silence")
			}
		}
	})
}

func TestRanking(t *testing.T) {
	now := time.Unix(5000, 0)
	device := func(name string, s SyncState, age time.Duration) Device {
		return Device{ID: DeviceID(name), Name: name, State: s, ChangedAt: now.Add(-age), Kind: cloudlink.Desktop}
	}
	cases := []struct {
		name    string
		devices []Device
		have    bool
		state   SyncState
		device  string
	}{
		{"nothing", nil, false, Pending, ""},
		{"credential alone", nil, true, Inactive, ""},
		{"error over registered", []Device{device("a", Registered, 1), device("b", SIPError, 2)}, true, SIPError, "b"},
		{"registered over inactive", []Device{device("a", Inactive, 1), device("b", Registered, 2)}, true, Registered, "b"},
		{"inactive over pending", []Device{device("a", Pending, 1), device("b", Inactive, 2)}, true, Inactive, "b"},
		{"the newest of equals", []Device{device("a", Inactive, 2), device("b", Inactive, 1)}, true, Inactive, "b"},
	}
	for _, c := range cases {
		r := Record{Devices: c.devices}
		if c.have {
			r.Credentials = []Credential{{Kind: cloudlink.Desktop, SyncedAt: now}}
		}
		if st := r.Status(now); st.State != c.state || st.Device != c.device || c.state != SIPError && st.Text == "" {
			t.Errorf("%s: %s by %q (%q), want %s by %q", c.name, st.State, st.Device, st.Text, c.state, c.device)
		}
	}
}

func TestAdviceAlwaysSaysWhatToDo(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range []int{401, 403, 404, 408, 423, 480, 488} {
		seen[Advice(code, CauseSIP)] = true
	}
	for _, cause := range []string{CauseTLSUntrusted, CauseTLSExpired, CauseTLSName, CauseTLSClient, CauseTimeout,
		CauseRefused, CauseClosed, CauseDNS} {
		seen[Advice(0, cause)] = true
	}
	if len(seen) != 15 {
		t.Errorf("%d different texts, want 15: support must tell them apart", len(seen))
	}
	for code := 0; code < 700; code++ {
		if Advice(code, "odd") == "" {
			t.Errorf("no advice for %d", code)
		}
	}
	if Advice(407, "") != Advice(401, "") || Advice(503, "") != Advice(480, "") {
		t.Error("codes with one meaning have two texts")
	}
}
