package interop_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dialogOf returns how a person's phone names its dialog to others (Replaces, Join): its Call-ID, the gateway's tag and its
// own, as soon as its INVITE got that status. With calls the person began it, else was called.
func (f *callFloor) dialogOf(t *testing.T, extension string, calls bool, status int) string {
	t.Helper()
	begins := fmt.Sprintf("SIP/2.0 %d ", status)
	field := func(message, name string) string {
		if m := regexp.MustCompile(`(?m)^` + name + `: *(.*?)\r?$`).FindStringSubmatch(message); m != nil {
			return m[1]
		}
		return ""
	}
	tag := func(value string) string {
		_, tag, _ := strings.Cut(value, ";tag=")
		return tag
	}
	named := ""
	eventually(t, extension+" is in a call", func() (bool, any) {
		all := f.messages(extension)
		for _, m := range all {
			if m.Inbound == calls || !strings.HasPrefix(m.Text, begins) || !strings.HasSuffix(field(m.Text, "CSeq"), "INVITE") {
				continue
			}
			ours, its := tag(field(m.Text, "To")), tag(field(m.Text, "From"))
			if !calls {
				ours, its = its, ours
			}
			named = field(m.Text, "Call-ID") + ";to-tag=" + ours + ";from-tag=" + its
		}
		return named != "", len(all)
	})
	return named
}

// hangUp ends the call that a person began, as an operator, once so many legs talk in it.
func (f *callFloor) hangUp(t *testing.T, caller string, legs int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d legs talk in a call of %s", legs, caller), func() (bool, any) {
		all := f.system.history()
		for _, c := range all {
			talking := 0
			for _, l := range c.Legs {
				if l.EndedAt.IsZero() {
					talking++
				}
			}
			if c.State == "talking" && c.Caller == caller+"@"+domain && talking == legs {
				f.system.admin.call(http.MethodDelete, "/v1/calls/"+c.ID, nil, nil)
				return true, nil
			}
		}
		return false, all
	})
}

// hidden checks of every two of several phones, each with a name that it has written down of itself, that neither was sent
// what is the other's own.
func hidden(t *testing.T, gateway string, phones map[string]leg) {
	t.Helper()
	for from, a := range phones {
		if !slices.Contains(secretsOf(a.sent), "Secret Desk Phone/"+from) || len(a.got) < 2 {
			t.Errorf("too little was seen of the %s: %d messages", from, len(a.got))
		}
		for to, b := range phones {
			if from == to {
				continue
			}
			for _, l := range leaks(a.sent, b.got, gateway) {
				t.Errorf("the %s sees of the %s: %s", to, from, l)
			}
		}
	}
}

// Three phones, each at an address of its own, see nothing of each other when one transfers, with and without asking first,
// and when all three confer.
func TestNothingInsideLeaksAmongThree(t *testing.T) {
	t.Parallel()
	f := newCallFloor(t, false)
	gateway := f.system.sip("udp").String()
	calls := steps(invited(plainSDP), answered, obeys)
	begin := func(t *testing.T, who, number, callee string, s scenario) (string, *program) {
		extension, address := f.person(), "127.0.0."+number
		return extension, f.sippRunAt(t, address, marked(s, who, number), extension, callee, freePortAt(t, address))
	}
	t.Run("blind transfer", func(t *testing.T) {
		t.Parallel()
		by, to := f.person(), f.person()
		third := f.sippCalleeAt(t, "127.0.0.4", to, marked(steps(answers, obeys), "third", "4"))
		callee := f.sippCalleeAt(t, "127.0.0.3", by, marked(steps(answers, scenario{pause(300),
			refers("sip:" + to + "@" + domain), got(202)}, left), "callee", "3"))
		extension, caller := begin(t, "caller", "2", by, calls)
		ends(t, "who transferred", callee)
		f.hangUp(t, extension, 2)
		ends(t, "the caller", caller)
		ends(t, "whom he was transferred to", third)
		hidden(t, gateway, map[string]leg{"caller": packetsOf(t, caller), "callee": packetsOf(t, callee), "third": packetsOf(t, third)})
	})
	t.Run("attended transfer", func(t *testing.T) {
		t.Parallel()
		by, to := f.person(), f.person()
		third := f.sippCalleeAt(t, "127.0.0.4", to, marked(steps(answers, obeys), "third", "4"))
		asks := f.sippRunAt(t, "127.0.0.5", marked(calls, "asking", "5"), by, to, freePortAt(t, "127.0.0.5"))
		named := url.QueryEscape(f.dialogOf(t, by, true, 200))
		callee := f.sippCalleeAt(t, "127.0.0.3", by, marked(steps(answers, scenario{pause(300),
			refers("sip:" + to + "@" + domain + "?Replaces=" + named), got(202)}, left), "callee", "3"))
		_, caller := begin(t, "caller", "2", by, calls)
		ends(t, "who transferred", callee)
		ends(t, "his other call", asks)
		f.hangUp(t, by, 2)
		ends(t, "the caller", caller)
		ends(t, "whom he was transferred to", third)
		hidden(t, gateway, map[string]leg{"caller": packetsOf(t, caller), "callee": packetsOf(t, callee), "third": packetsOf(t, third),
			"asking": packetsOf(t, asks)})
	})
	t.Run("conference", func(t *testing.T) {
		t.Parallel()
		called := f.person()
		callee := f.sippCalleeAt(t, "127.0.0.3", called, marked(steps(answers, obeys), "callee", "3"))
		extension, caller := begin(t, "caller", "2", called, calls)
		join := steps(invited(plainSDP, "Join: "+f.dialogOf(t, called, false, 200)), answered, obeys)
		_, third := begin(t, "third", "4", called, join)
		f.hangUp(t, extension, 3)
		ends(t, "the caller", caller)
		ends(t, "the callee", callee)
		ends(t, "who joined", third)
		hidden(t, gateway, map[string]leg{"caller": packetsOf(t, caller), "callee": packetsOf(t, callee), "third": packetsOf(t, third)})
	})
}

// A browser and a desk phone call each other: neither the browser's candidates, fingerprint and names in ICE nor anything
// else of one end is seen by the other.
func TestNothingOfABrowserLeaks(t *testing.T) {
	f := newCallFloor(t, true)
	ours := []string{f.system.sip("udp").String(), fmt.Sprintf("localhost:%d", f.system.sip("wss").Port()), "127.0.0.1", "0.0.0.0"}
	phone := f.seat(t, model{"page", "dtls", ""}, callerTone)
	page := phone.caller.(*webphone)
	extension := f.person()
	callee := f.sippCalleeAt(t, "127.0.0.3", extension, marked(steps(answers, obeys), "callee", "3"))
	phone.dial("sip:" + extension + "@" + domain)
	phone.awaitTalk(1)
	phone.hangup()
	ends(t, "the callee", callee)
	caller := f.sippRunAt(t, "127.0.0.2", marked(steps(invited(plainSDP), answered, obeys), "caller", "2"), f.person(), phone.extension,
		freePortAt(t, "127.0.0.2"))
	phone.awaitRing()
	phone.answer()
	phone.awaitTalk(2)
	phone.hangup()
	ends(t, "the caller", caller)
	sent, got := run[[]string](page, "wire.sent"), run[[]string](page, "wire.got")
	known := strings.Join(secretsOf(sent), "\n")
	for _, own := range []string{"sha-256 ", " typ host", "JsSIP page", ".invalid"} {
		if !strings.Contains(known, own) {
			t.Errorf("%q is not known as the browser's own: %s", own, known)
		}
	}
	for who, p := range map[string]*program{"callee": callee, "caller": caller} {
		desk := packetsOf(t, p)
		if !slices.Contains(secretsOf(desk.sent), "Secret Desk Phone/"+who) || len(desk.got) < 2 || len(got) < 4 {
			t.Errorf("too little was seen of the %s: %d messages, and %d of the browser", who, len(desk.got), len(got))
		}
		for _, l := range leaks(sent, desk.got, ours...) {
			t.Errorf("the %s sees of the browser: %s", who, l)
		}
		for _, l := range leaks(desk.sent, got, ours...) {
			t.Errorf("the browser sees of the %s: %s", who, l)
		}
	}
}
