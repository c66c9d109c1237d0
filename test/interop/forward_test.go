package interop_test

import (
	"fmt"
	"strings"
	"testing"
)

// callOf waits until the history tells the end of the call that a person began, and returns it.
func (f *callFloor) callOf(t *testing.T, caller string) (found pastCall) {
	t.Helper()
	eventually(t, "history has the call of "+caller, func() (bool, any) {
		all := f.system.history()
		for _, c := range all {
			if c.Caller == caller+"@"+domain && c.State == "ended" {
				found = c
				return true, nil
			}
		}
		return false, all
	})
	return found
}

// A phone that answers 302 sends the call on as its user, who stands in Referred-By, and may go only where his account
// reaches: nobody's address, and those of other domains, give the caller 404 and history the reason.
func TestPhoneThatForwards(t *testing.T) {
	t.Parallel()
	f := newCallFloor(t, false)
	t.Run("to a colleague", func(t *testing.T) {
		t.Parallel()
		away, colleague, caller := f.person(), f.person(), f.person()
		there := f.sippCallee(t, colleague, steps(scenario{holding("INVITE", "Referred-By", "sip:"+away+"@"+domain)}, answers[1:], left))
		moves := f.sippCallee(t, away, scenario{asked("INVITE"), moved("sip:" + colleague + "@" + domain), asked("ACK")})
		from := f.sippRun(t, steps(invited(plainSDP), answered, scenario{pause(300)}, leaves(3)), caller, away, freePort(t))
		ends(t, "the caller", from)
		ends(t, "who forwards", moves)
		ends(t, "the colleague", there)
		c := f.callOf(t, caller)
		if len(c.Legs) != 3 || c.Cause.Code != 200 || c.Legs[1].Cause.Code != 302 || !strings.Contains(c.Legs[1].Cause.Text, colleague) ||
			c.Legs[2].User != colleague+"@"+domain {
			t.Errorf("history: %+v", c)
		}
	})
	for name, to := range map[string]string{"to nobody": "sip:9999@" + domain, "outside": "sip:mobile@elsewhere.example"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			away, caller := f.person(), f.person()
			moves := f.sippCallee(t, away, scenario{asked("INVITE"), moved(to), asked("ACK")})
			from := f.sippRun(t, steps(invited(plainSDP), scenario{maybe(180), got(404), ackBack(2, 4)}), caller, away, freePort(t))
			ends(t, "the caller", from)
			ends(t, "who forwards", moves)
			c := f.callOf(t, caller)
			if c.Cause.Code != 404 || c.Cause.Who != "callee" || !strings.Contains(c.Cause.Text, strings.TrimPrefix(to, "sip:")) {
				t.Errorf("history: %+v", c)
			}
		})
	}
}

// Two who forward to each other are rung in turn until it was enough, and the caller is told.
func TestPhonesThatForwardToEachOther(t *testing.T) {
	t.Parallel()
	f := newCallFloor(t, false)
	one, other, caller := f.person(), f.person(), f.person()
	moves := func(calls int, who, to string) *program {
		return f.sippCalleeOf(t, calls, "127.0.0.1", who, scenario{asked("INVITE"), moved("sip:" + to + "@" + domain), asked("ACK")})
	}
	there, back := moves(6, one, other), moves(5, other, one)
	from := f.sippRun(t, steps(invited(plainSDP), scenario{maybe(180), got(482), ackBack(2, 4)}), caller, one, freePort(t))
	ends(t, "the caller", from)
	ends(t, "who is called", there)
	ends(t, "whom he forwards to", back)
	if c := f.callOf(t, caller); c.Cause.Code != 482 || !strings.Contains(c.Cause.Text, "forwarded too often") || len(c.Legs) != 12 {
		t.Errorf("history: %+v", c)
	}
}

// A colleague takes a call over by an INVITE with Replaces, while it rings and after it was answered. Who does not prove who
// he is, names a dialog that is none, or comes too late, does not, and the call goes on.
func TestPickingUp(t *testing.T) {
	t.Parallel()
	f := newCallFloor(t, false)
	takes := func(named string) scenario {
		return steps(invited(plainSDP, "Replaces: "+named), answered, scenario{pause(300)}, leaves(3))
	}
	refusedWith := func(named string, code int) scenario {
		return steps(invited(plainSDP, "Replaces: "+named), scenario{got(code), ackBack(2, 3)})
	}
	t.Run("while it rings", func(t *testing.T) {
		t.Parallel()
		extension := f.person()
		rings := f.sippCallee(t, extension, scenario{asked("INVITE"), response("180 Ringing", ""), asked("CANCEL"), reply("200 OK", ""),
			toINVITE(response("487 Request Terminated", "")), asked("ACK")})
		from := f.sippCaller(t, extension, steps(invited(plainSDP), answered, obeys))
		ends(t, "who picks up", f.sippCaller(t, extension, takes(f.dialogOf(t, extension, false, 180)+";early-only")))
		ends(t, "whose phone rang", rings)
		ends(t, "the caller", from)
	})
	t.Run("when it is answered", func(t *testing.T) {
		t.Parallel()
		extension, caller := f.person(), f.person()
		to := f.sippCallee(t, extension, steps(answers, obeys))
		from := f.sippRun(t, steps(invited(plainSDP), answered, obeys), caller, extension, freePort(t))
		named := f.dialogOf(t, extension, false, 200)
		eventually(t, "they talk", func() (bool, any) {
			all := f.messages(extension)
			return strings.Contains(fmt.Sprint(all), "ACK sip:"), len(all)
		})
		id, tags, _ := strings.Cut(named, ";")
		stranger := scenario{request("INVITE", 1, callee, plainSDP, "Replaces: "+named), maybe(100), got(407), ackBack(1, 3)}
		for who, s := range map[string]scenario{
			"a stranger":                     stranger,
			"who names another call":         refusedWith("another-"+id+";"+tags, 481),
			"who names another tag":          refusedWith(named+"0", 481),
			"who wants a call that rings":    refusedWith(named+";early-only", 486),
			"who names what the caller has":  refusedWith(f.dialogOf(t, caller, true, 200)+";early-only", 486),
			"who names no dialog of anybody": refusedWith("x;to-tag=y;from-tag=z", 481),
		} {
			ends(t, who, f.sippCaller(t, extension, s))
		}
		ends(t, "who takes over", f.sippCaller(t, extension, takes(named)))
		ends(t, "whose call it was", to)
		ends(t, "the caller", from)
		ends(t, "who comes too late", f.sippCaller(t, extension, refusedWith(named, 481)))
	})
}
