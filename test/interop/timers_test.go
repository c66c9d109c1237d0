package interop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"demarc/internal/config"
)

// refreshedAfter waits for a message with a Session-Expires.
func refreshedAfter(message, expires string) string {
	return fmt.Sprintf(`<recv %s><action><ereg regexp="^ *%s" search_in="hdr" header="Session-Expires:" check_it="true" assign_to="3"/>
</action></recv><Reference variables="3"/>`, message, expires)
}

// Session timers (RFC 4028) with phones that ask for short ones: we refresh either side by re-INVITE, or by UPDATE where
// the phone knows it; the phone does; or it does not, and both ends are hung up with a cause.
func TestSessionTimers(t *testing.T) {
	t.Parallel()
	f := newCallFloor(t, false, func(c *config.Config) { c.Telephony.Media.Timeout = time.Hour }) // sipp sends no sound
	agrees := func(seconds int, by string, more ...string) scenario {
		return scenario{asked("INVITE"), response("180 Ringing", ""), answerWith("200 OK", ";tag=[pid]-callee", plainSDP,
			append(more, "Supported: timer", "Require: timer", fmt.Sprintf("Session-Expires: %d;refresher=%s", seconds, by))...), asked("ACK")}
	}
	refreshed := func(method string) scenario {
		body := plainSDP
		if method == "UPDATE" {
			body = ""
		}
		s := scenario{holding(method, "Session-Expires", "^ *6;refresher=uac"),
			answerWith("200 OK", "", body, "Supported: timer", "Session-Expires: 6;refresher=uac")}
		if method == "INVITE" {
			s = append(s, asked("ACK"))
		}
		return s
	}
	// The phone has 12 of its 18 seconds at first: refreshes take it further than that.
	refreshes := func(method string) (s scenario) {
		for n := range 3 {
			body := plainSDP
			if method == "UPDATE" {
				body = ""
			}
			s = append(s, pause(5000), strings.Replace(ask(method, n+1, body), "\nContact:",
				"\nSupported: timer\nSession-Expires: 90;refresher=uac\nContact:", 1), maybe(100),
				refreshedAfter(`response="200" rrs="true"`, "90;refresher=uac"))
			if method == "INVITE" {
				s = append(s, strings.Replace(once(ask("ACK", n+1, "")), "retrans=\"500\"", "", 1))
			}
		}
		return s
	}
	hungUp := scenario{holding("BYE", "Reason", "cause=408"), reply("200 OK", "")}
	asksFor := func(value string) scenario { return invited(plainSDP, "Supported: timer", "Session-Expires: "+value) }
	promised := `<recv response="200" rrs="true"><action><ereg regexp="^ *90;refresher=uac" search_in="hdr" header="Session-Expires:"
check_it="true" assign_to="3"/><ereg regexp="timer" search_in="hdr" header="Require:" check_it="true" assign_to="4"/></action></recv>
<Reference variables="3,4"/>`
	for name, c := range map[string]struct {
		caller, callee scenario
		code           int // of the call's cause in history
	}{
		"refreshed by us with re-INVITE": {steps(invited(plainSDP), answered, obeys),
			steps(agrees(6, "uac"), refreshed("INVITE"), refreshed("INVITE"), scenario{ask("BYE", 1, ""), got(200)}), 200},
		"refreshed by us with UPDATE": {steps(invited(plainSDP), answered, obeys),
			steps(agrees(6, "uac", "Allow: INVITE, ACK, BYE, CANCEL, UPDATE"), refreshed("UPDATE"), refreshed("UPDATE"),
				scenario{ask("BYE", 1, ""), got(200)}), 200},
		"refreshed by the phone with re-INVITE": {steps(invited(plainSDP), answered, obeys),
			steps(agrees(18, "uas"), refreshes("INVITE"), scenario{ask("BYE", 9, ""), got(200)}), 200},
		"refreshed by the phone with UPDATE": {steps(invited(plainSDP), answered, obeys),
			steps(agrees(18, "uas"), refreshes("UPDATE"), scenario{ask("BYE", 9, ""), got(200)}), 200},
		"not refreshed": {steps(invited(plainSDP), answered, hungUp), steps(agrees(6, "uas"), hungUp), 408},
		"a refresh that the phone does not know the call of": {steps(invited(plainSDP), answered, scenario{holding("BYE", "Reason",
			"cause=481"), reply("200 OK", "")}), steps(agrees(6, "uac"), scenario{asked("INVITE"),
			answerWith("481 No Such Call", "", ""), asked("ACK")}), 481},
		"what the caller asks for": {steps(asksFor("90;refresher=uac"), scenario{maybe(180), promised, ack(2, ""), pause(300)}, leaves(3)),
			steps(answers, left), 200},
		"the caller's side refreshed by us": {steps(asksFor("90;refresher=uas"), scenario{maybe(180),
			refreshedAfter(`response="200" rrs="true"`, "90;refresher=uas"), ack(2, ""), refreshedAfter(`request="INVITE"`, "90;refresher=uac"),
			answerWith("200 OK", "", plainSDP, "Supported: timer", "Session-Expires: 90;refresher=uac"), `<recv request="ACK"/>`}, leaves(3)),
			steps(answers, left), 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			extension, caller := f.person(), f.person()
			to := f.sippCallee(t, extension, c.callee)
			from := f.sippRun(t, c.caller, caller, extension, freePort(t))
			ends(t, "the caller", from)
			ends(t, "the callee", to)
			past := f.callOf(t, caller)
			if past.Cause.Code != c.code {
				t.Errorf("history: %+v", past.Cause)
			}
			if name == "not refreshed" && !strings.Contains(past.Cause.Text, "did not refresh the session in time") {
				t.Errorf("history: %q", past.Cause.Text)
			}
		})
	}
	t.Run("an interval that is too small", func(t *testing.T) {
		t.Parallel()
		tooSmall := `<recv response="422"><action><ereg regexp="90" search_in="hdr" header="Min-SE:" check_it="true" assign_to="3"/></action></recv>
<Reference variables="3"/>`
		ends(t, "the caller", f.sippCaller(t, f.person(), steps(asksFor("60"), scenario{tooSmall, ackBack(2, 3)})))
	})
}
