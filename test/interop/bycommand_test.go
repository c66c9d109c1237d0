package interop_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// legOf returns the call of a person's that was begun last and lasts, and his leg in it.
func (s *system) legOf(t *testing.T, extension, other string) (call, leg string) {
	t.Helper()
	type told struct {
		ID   string
		Legs []struct {
			Leg        int
			User       string
			AnsweredAt string
		}
	}
	eventually(t, extension+" talks with "+other, func() (bool, any) {
		var all struct{ Calls []told }
		s.admin.call(http.MethodGet, "/v1/calls?live=true&user="+extension, nil, &all)
		for _, c := range all.Calls {
			mine, with := 0, false
			for _, l := range c.Legs {
				switch user, _, _ := strings.Cut(l.User, "@"); {
				case l.AnsweredAt == "":
				case user == extension:
					mine = l.Leg
				case user == other:
					with = true
				}
			}
			if mine != 0 && with {
				call, leg = c.ID, strconv.Itoa(mine)
				return true, nil
			}
		}
		return false, all
	})
	return call, leg
}

// command returns what runs the shipped program against the gateway.
func (f *callFloor) command(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	demarc := installed(t)
	return func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), demarc, append([]string{"--data-dir", f.system.dataDir}, args...)...).CombinedOutput()
		return string(out), err
	}
}

// A phone that cannot transfer is helped by the command: who talks with it talks with somebody else, and it is out of the call.
func TestTransferByCommand(t *testing.T) {
	f := newCallFloor(t, false)
	first, third := f.seat(t, model{"linphone", "sdes", ""}, callerTone), f.seat(t, g711, thirdTone)
	by := f.seat(t, model{"baresip", "sdes", ""}, calleeTone)
	talk(t, first, by)
	command := f.command(t)
	call, leg := f.system.legOf(t, by.extension, first.extension)
	if out, err := command("transfer", call, "9", third.extension); err == nil || !strings.Contains(out, "no such leg") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := command("transfer", call, leg, third.extension); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	third.awaitRing()
	third.answer()
	third.awaitTalk(1)
	by.awaitEnd()
	hears(t, "who was transferred", first, thirdTone)
	hears(t, "whom he was transferred to", third, callerTone)
	third.hangup()
	first.awaitEnd()
}

// A phone that holds one call and is in a second one cannot join the two by itself; the command does, and everybody hears the
// others. What cannot be is refused, with what to do.
func TestConferenceByCommand(t *testing.T) {
	f := newCallFloor(t, true)
	first, third := f.seat(t, model{"page", "dtls", ""}, callerTone), f.seat(t, g711, thirdTone)
	by := f.seat(t, model{"linphone", "sdes", ""}, calleeTone)
	talk(t, first, by)
	by.hold()
	by.dial(third.uri())
	third.awaitRing()
	third.answer()
	by.awaitTalk(2)
	hears(t, "who asks", by, thirdTone)
	command := f.command(t)
	one, leg := f.system.legOf(t, by.extension, first.extension)
	two, _ := f.system.legOf(t, by.extension, third.extension)
	_, firsts := f.system.legOf(t, first.extension, by.extension)
	for _, c := range []struct{ call, leg, with, says string }{
		{one, firsts, two, "does not talk in the other call"},
		{one, "9", two, "no such leg"},
		{"none", leg, two, "no call has the id"},
		{one, leg, "none", "no call has the id"},
	} {
		if out, err := command("conference", c.call, c.leg, c.with); err == nil || !strings.Contains(out, c.says) {
			t.Errorf("conference %+v: %v, %s", c, err, out)
		}
	}
	if out, err := command("conference", one, leg, two); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hearsBoth(t, "the first", first, calleeTone, thirdTone)
	hearsBoth(t, "who had both calls", by, callerTone, thirdTone)
	hearsBoth(t, "the third", third, callerTone, calleeTone)
	var all struct {
		Calls []struct{ ID, State string }
	}
	f.system.admin.call(http.MethodGet, "/v1/calls?live=true", nil, &all)
	if fmt.Sprint(all.Calls) != fmt.Sprint([]struct{ ID, State string }{{two, "talking"}}) {
		t.Errorf("calls: %+v", all.Calls)
	}
	first.hangup()
	hears(t, "who had both calls", by, thirdTone)
	hears(t, "the third", third, calleeTone)
	third.hangup()
}
