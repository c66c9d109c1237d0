package interop_test

import (
	"strings"
	"testing"
)

// steps joins parts of a scenario.
func steps(parts ...scenario) scenario {
	var s scenario
	for _, p := range parts {
		s = append(s, p...)
	}
	return s
}

// The parts that most calls have.
var (
	answers  = scenario{asked("INVITE"), response("180 Ringing", ""), pause(200), response("200 OK", plainSDP), asked("ACK")}
	answered = scenario{maybe(180), maybe(183), got(200), ack(2, "")}
	left     = scenario{asked("BYE"), reply("200 OK", "")}
)

// leaves hangs up as the caller, with the CSeq that comes next.
func leaves(cseq int) scenario {
	return scenario{request("BYE", cseq, "[next_url]", "", "[routes]"), got(200)}
}

// reinvites offers again as the caller, and is answered.
func reinvites(cseq int) scenario {
	return scenario{request("INVITE", cseq, "[next_url]", plainSDP, "[routes]"), maybe(100), got(200), ack(cseq, "")}
}

// storm is many of them, one after the other.
func storm(first, count int) scenario {
	var s scenario
	for n := range count {
		s = append(s, reinvites(first+n)...)
	}
	return s
}

// What phones do seldom, and gateways get wrong. Each caller and callee is sipp, and goes to the end of its scenario.
func TestSippCalls(t *testing.T) {
	f := newCallFloor(t, false)
	const holdSDP = plainSDP + "\na=sendonly"
	crosses := steps(scenario{asked("INVITE"), response("180 Ringing", ""), asked("CANCEL"), reply("200 OK", ""),
		toINVITE(response("200 OK", plainSDP)), asked("ACK")}, left)
	stops := scenario{asked("INVITE"), response("180 Ringing", ""), asked("CANCEL"), reply("200 OK", ""),
		toINVITE(response("487 Request Terminated", "")), asked("ACK")}
	cancels := scenario{got(180), cancel(2, 3), got(200), got(487), ackBack(2, 6)}
	for name, c := range map[string]struct {
		caller  scenario
		callees []scenario // phones of one person
	}{
		"a call": {
			steps(invited(plainSDP), answered, scenario{pause(300)}, leaves(3)),
			[]scenario{steps(answers, left)},
		},
		"the callee hangs up": {
			steps(invited(plainSDP), answered, left),
			[]scenario{steps(answers, scenario{pause(300), ask("BYE", 1, ""), got(200)})},
		},
		"INVITE without an offer": {
			steps(invited(""), scenario{maybe(180), got(200), ack(2, plainSDP), pause(300)}, leaves(3)),
			[]scenario{steps(answers, left)},
		},
		"an offer in a reliable 180, its answer in PRACK": { // and no description in the 200
			steps(invited("", "Require: 100rel"), scenario{numbered(told(180, "m=audio [1-9]")), pracks(3, plainSDP), got(200),
				told(200, ""), ack(2, ""), pause(300)}, leaves(4)),
			[]scenario{steps(answers, left)},
		},
		"an offer in PRACK, its answer in the 200": {
			steps(invited(plainSDP, "Require: 100rel"), scenario{numbered(told(183, "m=audio [1-9]")), pracks(3, holdSDP),
				told(200, "a=recvonly"), told(200, ""), ack(2, ""), pause(300)}, leaves(4)),
			[]scenario{steps(scenario{asked("INVITE"), response("183 Session Progress", plainSDP), pause(500),
				response("200 OK", plainSDP), asked("ACK"), asked("INVITE"), reply("200 OK", plainSDP), asked("ACK")}, left)},
		},
		"a PRACK that never comes": {
			steps(invited(plainSDP, "Require: 100rel"), scenario{got(180), `<recv response="504"/>`, ackBack(2, 4)}),
			[]scenario{{asked("INVITE"), response("180 Ringing", ""), asked("CANCEL"), reply("200 OK", ""),
				toINVITE(response("487 Request Terminated", "")), asked("ACK")}},
		},
		"CANCEL while it rings": {
			steps(invited(plainSDP), cancels),
			[]scenario{stops},
		},
		"an INVITE that expires while it rings": {
			steps(invited(plainSDP, "Expires: 2"), scenario{got(180), got(487), ackBack(2, 4)}),
			[]scenario{stops},
		},
		"an answer whose Contact cannot be read": {
			steps(invited(plainSDP), scenario{maybe(180), got(502), ackBack(2, 4)}),
			[]scenario{steps(scenario{asked("INVITE"), strings.Replace(response("200 OK", plainSDP), ">\nContent", "\nContent", 1), asked("ACK")}, left)},
		},
		"a name for the media's address": {
			steps(invited(strings.Replace(plainSDP, "[media_ip]", "phone.test", 1)), answered, scenario{pause(300)}, leaves(3)),
			[]scenario{steps(answers, left)},
		},
		"CANCEL crosses with the answer": {
			steps(invited(plainSDP), cancels),
			[]scenario{crosses},
		},
		"two phones answer": { // the second before it reads that the first was faster
			steps(invited(plainSDP), answered, scenario{pause(500)}, leaves(3)),
			[]scenario{steps(answers, left), crosses},
		},
		"one phone answers, one rings": {
			steps(invited(plainSDP), answered, scenario{pause(300)}, leaves(3)),
			[]scenario{steps(answers, left), stops},
		},
		"busy": {
			steps(invited(plainSDP), scenario{maybe(180), got(486), ackBack(2, 4)}),
			[]scenario{{asked("INVITE"), response("486 Busy Here", ""), asked("ACK")}},
		},
		"491 to a hold": {
			steps(invited(plainSDP), answered, scenario{request("INVITE", 3, "[next_url]", holdSDP, "[routes]"), maybe(100), got(200),
				ack(3, ""), pause(6000)}, leaves(4)),
			[]scenario{steps(answers, scenario{asked("INVITE"), reply("491 Request Pending", ""), asked("ACK"),
				asked("INVITE"), reply("200 OK", plainSDP), asked("ACK")}, left)},
		},
		"a storm of re-INVITEs": {
			steps(invited(plainSDP), answered, storm(3, 50), leaves(53)),
			[]scenario{steps(answers, left)},
		},
		"UPDATE, with an offer and without": {
			steps(invited(plainSDP), answered, scenario{request("UPDATE", 3, "[next_url]", "", "[routes]"), got(200),
				request("UPDATE", 4, "[next_url]", plainSDP, "[routes]"), got(200)}, leaves(5)),
			[]scenario{steps(answers, left)},
		},
		"the caller insists on PRACK": {
			steps(invited(plainSDP)[:4], scenario{untagged(request("INVITE", 2, callee, plainSDP, "[authentication]", "Require: 100rel")),
				maybe(100), numbered(got(180)), pracks(3, ""), got(200), got(200),
				ack(2, "")}, leaves(4)),
			[]scenario{steps(answers, left)},
		},
		"the ACK is lost": { // the 200 comes again for 32 s, and then both are hung up
			steps(invited(plainSDP), scenario{maybe(180), got(200)}, left),
			[]scenario{steps(answers, left)},
		},
		"the BYE is lost": {
			steps(invited(plainSDP), answered, scenario{pause(300)}, leaves(3)),
			[]scenario{steps(answers, scenario{asked("BYE")})},
		},
		"a broken description": {
			steps(invited("v=0\nm=audio"), scenario{got(400), ackBack(2, 3)}), nil,
		},
		"a description without audio": {
			steps(invited("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=image 4000 udptl t38"),
				scenario{got(488), ackBack(2, 3)}), nil,
		},
		"nobody is there": {
			steps(invited(plainSDP), scenario{got(480), ackBack(2, 3)}), nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			extension := f.person()
			var callees []*program
			for _, s := range c.callees {
				callees = append(callees, f.sippCallee(t, extension, s))
			}
			ends(t, "the caller", f.sippCaller(t, extension, c.caller))
			for _, callee := range callees {
				ends(t, "a callee", callee)
			}
		})
	}
}

// ends checks that a scenario went to its end.
func ends(t *testing.T, who string, p *program) {
	t.Helper()
	if err := p.wait(); err != nil {
		t.Errorf("%s: sipp: %v", who, err)
	}
}
