package interop_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What history says of a call.
type pastCall struct {
	ID, State, Caller, Dialled string
	AnsweredAt, EndedAt        time.Time
	Cause                      struct {
		Who  string
		Code int
		Text string
	}
	Legs []struct {
		User    string
		EndedAt time.Time
		Cause   struct {
			Code int
			Text string
		}
	}
}

// history returns all calls.
func (s *system) history() []pastCall {
	s.t.Helper()
	var told struct{ Calls []pastCall }
	s.admin.call(http.MethodGet, "/v1/calls", nil, &told)
	return told.Calls
}

// metric returns the value of a line of the metrics.
func (p *process) metric(line string) string {
	p.t.Helper()
	reply, err := http.Get("http://" + p.metrics + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer reply.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	all, err := io.ReadAll(reply.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	for said := range strings.Lines(string(all)) {
		if value, ok := strings.CutPrefix(said, line+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return "nothing"
}

// A gateway is killed while two phones talk, two hold a call whose ACK came late, one over TLS talks with one over UDP, and
// one rings; all its media ports are taken. It is started again on the same store: phones are hung up by their address, each
// call stands once in history, closed as lost, its people can read why, and all ports are there for new calls.
func TestCallsOfAKilledNode(t *testing.T) {
	t.Parallel()
	const calls = 4
	s := newProcess(t, 4*calls)
	f := &callFloor{system: s}
	p := s.process
	people := make([]string, 2*calls)
	p.run("link")
	for i := range people {
		people[i] = f.person()
		s.add(people[i], "Person "+people[i], fmt.Sprintf("p%d@pbx.test", i))
	}
	s.sync()
	plain := model{"baresip", "plain", ""}
	at := func(extension string, m model, hertz int) seat {
		server := s.sip(m.transport())
		if m.program == "linphone" {
			return f.sits(t, extension, hertz, f.linphone(t, server, m, extension, hertz))
		}
		return f.sits(t, extension, hertz, f.baresip(t, server, m, extension, hertz))
	}

	from, to := at(people[0], plain, callerTone), at(people[1], plain, calleeTone)
	talk(t, from, to)
	secured, unsecured := at(people[2], model{"linphone", "sdes", ""}, callerTone), at(people[3], plain, calleeTone)
	talk(t, secured, unsecured)
	told := scenario{`<recv request="BYE"><action><ereg regexp="cause=500;text=.node lost" search_in="hdr" header="Reason:"
check_it="true" assign_to="4"/></action></recv><Reference variables="4"/>`, reply("200 OK", "")}
	held := f.sippCallee(t, people[5], steps(answers, told))
	holds := f.sippRun(t, steps(invited(plainSDP), scenario{maybe(180), got(200), pause(700), ack(2, "")}, told), people[4], people[5], freePort(t))
	rung := f.sippCallee(t, people[7], scenario{asked("INVITE"), response("180 Ringing", ""), pause(600_000)})
	rings := f.sippRun(t, steps(invited(plainSDP), scenario{got(180), pause(600_000)}), people[6], people[7], freePort(t))
	eventually(t, "history has four calls, three of them answered for longer than an ACK takes", func() (bool, any) {
		all, answered := s.history(), 0
		for _, c := range all {
			if c.State == "talking" && time.Since(c.AnsweredAt) > 2*time.Second {
				answered++
			}
		}
		return len(all) == calls && answered == calls-1, all
	})
	if free := p.metric(`demarc_media_ports{state="free"}`); free != "0" {
		t.Errorf("of the media ports %s pairs are free", free)
	}

	p.serving.kill()
	p.start()
	from.awaitEnd()
	to.awaitEnd()
	unsecured.awaitEnd()
	ends(t, "who was held", held)
	ends(t, "who held", holds)
	rings.kill() // nobody tells them, and nobody talks with them
	rung.kill()
	eventually(t, "each call has ended once, as lost", func() (bool, any) {
		all, lost := s.history(), 0
		for _, c := range all {
			if c.State == "ended" && !c.EndedAt.IsZero() && c.Cause.Who == "network" && strings.HasPrefix(c.Cause.Text, "node lost") {
				lost++
			}
			for _, l := range c.Legs {
				if c.State == "ended" && (l.EndedAt.IsZero() || !strings.HasPrefix(l.Cause.Text, "node lost")) {
					t.Errorf("a leg of %s is %+v", c.ID, l)
				}
			}
		}
		return len(all) == calls && lost == calls, all
	})
	for _, extension := range people {
		s.await(extension, "can read that the call was lost", func(u user) bool {
			n := 0
			for _, e := range u.Timeline {
				if e.Kind == "call_failed" && strings.Contains(e.Text, "node lost") {
					n++
				}
			}
			return n == 1
		})
	}
	eventually(t, "all ports are free again", func() (bool, any) {
		free := p.metric(`demarc_media_ports{state="free"}`)
		return free == fmt.Sprint(2*calls), free
	})

	// The phone over TLS learns it when it speaks, and then calls as before.
	secured.hangup()
	secured.awaitEnd()
	from.dial(to.uri())
	eventually(t, "the callee rings again", func() (bool, any) {
		n, _ := to.caller.(*barephone).count("CALL_INCOMING")
		return n == 2, n
	})
	to.answer()
	from.awaitTalk(2)
	to.awaitTalk(2)
	hears(t, "the caller", from, to.hertz)
	hears(t, "the callee", to, from.hertz)
	from.hangup()
	eventually(t, "the call ends as calls do", func() (bool, any) {
		all := s.history()
		return len(all) == calls+1 && all[0].State == "ended" && all[0].Cause.Code == 200, all
	})
}
