package interop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What one phone's packets say of what is behind them: none of it is to be seen by the other phone. Each is read from what
// that phone itself sent.
var inside = []*regexp.Regexp{
	regexp.MustCompile(`(?im)^(?:via|v)\s*:.*?[ \t]([^\s;,]+)\s*(?:;|$)`),                   // where it is
	regexp.MustCompile(`(?im)^(?:via|v)\s*:.*;branch=([^\s;,]+)`),                           //
	regexp.MustCompile(`(?im)^(?:record-)?route\s*:.*<sips?:([^;>]+)`),                      // proxies on its way
	regexp.MustCompile(`(?im)^(?:call-id|i)\s*:\s*(\S+)`),                                   //
	regexp.MustCompile(`(?im)^(?:contact|m)\s*:.*<sips?:(?:[^@>]*@)?([^;>]+)`),              //
	regexp.MustCompile(`(?im)^(?:from|f|to|t)\s*:.*;tag=([^\s;]+)`),                         //
	regexp.MustCompile(`(?im)^(?:user-agent|server)\s*:\s*(.+?)\s*$`),                       //
	regexp.MustCompile(`(?im)^warning\s*:\s*\d+\s+(\S+)`),                                   // who warns, and of what
	regexp.MustCompile(`(?im)^(?:warning|reason)\s*:[^"]*"([^"]+)"`),                        //
	regexp.MustCompile(`(?im)^(?:error|alert|call)-info\s*:.*<sips?:([^;>]+)`),              //
	regexp.MustCompile(`(?im)^(?:x-|p-)[\w-]+\s*:\s*(.+?)\s*$`),                             // headers of its own
	regexp.MustCompile(`(?m)^o=(\S+ \S+) `),                                                 // who it says it is in SDP, and its numbers
	regexp.MustCompile(`(?m)^s=(\S{2,})`),                                                   //
	regexp.MustCompile(`(?m)^c=IN IP[46] (\S+)`),                                            // where its media is
	regexp.MustCompile(`(?m)^m=\w+ ([1-9]\d+) `),                                            // 9 is nobody's
	regexp.MustCompile(`(?m)^a=(?:candidate|ice-ufrag|ice-pwd|fingerprint|ssrc):(.+?)\s*$`), //
	regexp.MustCompile(`(?m)^a=candidate:\S+ \d+ \w+ \d+ (\S+ \d+) `),                       //
	regexp.MustCompile(`(?m)^a=(?:msid:\S+ |ssrc:\d+ cname:)(\S+)`),                         //
	regexp.MustCompile(`(?m)^a=crypto:\d+ \S+ inline:(\S+)`),                                //
}

// secretsOf returns what the messages of a phone say that is its own.
func secretsOf(messages []string) []string {
	seen := map[string]bool{}
	for _, m := range messages {
		for _, pattern := range inside {
			for _, found := range pattern.FindAllStringSubmatch(m, -1) {
				seen[strings.TrimSpace(found[1])] = true
			}
		}
	}
	var all []string
	for s := range seen {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// leaks returns which of one phone's own words stand in what the other was sent, each as a word of its own. What is the
// gateway's, such as its address, which a phone's answers repeat, is no secret.
func leaks(from, to []string, gateway ...string) []string {
	var all []string
	for _, secret := range secretsOf(from) {
		if slices.Contains(gateway, secret) {
			continue
		}
		word := regexp.MustCompile(`(?:^|[^\w.-])` + regexp.QuoteMeta(secret) + `(?:$|[^\w.-])`)
		for _, m := range to {
			if word.MatchString(m) {
				all = append(all, secret+" in "+strings.SplitN(m, "\r\n", 2)[0])
			}
		}
	}
	return all
}

// leg is what a phone sent and was sent, as it stood on the wire.
type leg struct{ sent, got []string }

// divide cuts sipp's log of messages.
func divide(log string) leg {
	var l leg
	head := regexp.MustCompile(`(?m)^-{10,} .*\n(?:UDP|TCP) message (sent|received)\D.*\n\n`)
	at := head.FindAllStringSubmatchIndex(log, -1)
	for i, m := range at {
		end := len(log)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		if text := strings.TrimSpace(log[m[1]:end]); log[m[2]:m[3]] == "sent" {
			l.sent = append(l.sent, text)
		} else {
			l.got = append(l.got, text)
		}
	}
	return l
}

// The judge must see each kind of leak, and none where there is none.
func TestLeaksAreSeen(t *testing.T) {
	const sent = "INVITE sip:b@pbx.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.2.3:5062;branch=z9hG4bKinner\r\nRecord-Route: <sip:10.9.9.9;lr>\r\n" +
		"From: <sip:a@pbx.test>;tag=innertag\r\nTo: <sip:b@pbx.test>\r\nCall-ID: inner-call\r\nCSeq: 1 INVITE\r\nContact: <sip:a@10.1.2.4:5063>\r\n" +
		"User-Agent: Phone 9\r\nX-Account: 4711\r\nWarning: 399 warns.inner \"noise of 10.1.2.8\"\r\nReason: Q.850;cause=16;text=\"in there\"\r\n" +
		"Error-Info: <sip:sorry@10.1.2.9>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\no=inner 77 1 IN IP4 10.1.2.5\r\ns=desk\r\n" +
		"c=IN IP4 10.1.2.6\r\nt=0 0\r\nm=audio 4444 RTP/AVP 0\r\na=candidate:1 1 udp 1 10.1.2.7 9 typ host\r\n"
	own := secretsOf([]string{sent})
	want := []string{"10.1.2.3:5062", "z9hG4bKinner", "10.9.9.9", "innertag", "inner-call", "10.1.2.4:5063", "Phone 9", "4711", "inner 77",
		"desk", "10.1.2.6", "4444", "1 1 udp 1 10.1.2.7 9 typ host", "10.1.2.7 9", "warns.inner", "noise of 10.1.2.8", "in there", "sorry@10.1.2.9"}
	for _, w := range want {
		if !slices.Contains(own, w) {
			t.Errorf("%q is not known as the phone's own: %q", w, own)
		}
		got := "INVITE sip:b@192.0.2.1 SIP/2.0\r\nSubject: <" + w + ">\r\n\r\n"
		if len(leaks([]string{sent}, []string{got}, "192.0.2.1:5060")) == 0 {
			t.Errorf("that %q leaks is not seen", w)
		}
	}
	if found := leaks([]string{sent}, []string{"INVITE sip:b@192.0.2.1 SIP/2.0\r\nFrom: <sip:a@pbx.test>;tag=outer\r\nCall-ID: outer44441\r\n\r\n"}, "192.0.2.1:5060"); found != nil {
		t.Errorf("seen in what is clean: %q", found)
	}
	if l := divide("----------------------------------------------- 2026-01-01\nUDP message sent (5 bytes):\n\nA b\r\n\n" +
		"----------------------------------------------- 2026-01-01\nUDP message received [5] bytes :\n\nC d\r\n"); len(l.sent) != 1 || len(l.got) != 1 {
		t.Errorf("sipp's log is not read: %+v", l)
	}
}

// marked has a sipp say of itself what is nobody's business.
func marked(s scenario, who, number string) scenario {
	const own = "User-Agent: Secret Desk Phone/%s\nX-Inside: extension-of-%s\nRecord-Route: <sip:10.77.0.%s;lr>"
	var all scenario
	for _, step := range s {
		if strings.HasPrefix(step, "<send") && !strings.Contains(step, "CANCEL ") {
			lines := fmt.Sprintf(own, who, who, number)
			if !strings.Contains(step, "INVITE sip:") && !strings.Contains(step, "SIP/2.0 1") && !strings.Contains(step, "SIP/2.0 200") {
				lines, _, _ = strings.Cut(lines, "\nRecord-Route")
			}
			step = strings.Replace(step, "\nContact: ", "\n"+lines+"\nContact: ", 1)
		}
		step = strings.NewReplacer("o=sipp 1 1", "o="+who+" 88"+number+" 1", "\ns=-", "\ns="+who+"-session").Replace(step)
		all = append(all, step)
	}
	return all
}

// Both ends of calls write down their packets, and nothing that is one phone's own is in those that the other got: in calls
// with and without an offer, offered again, with INFO, refused, cancelled, and transferred. The phones have loopback
// addresses of their own, so that an address that leaks is seen as well.
func TestNothingInsideLeaks(t *testing.T) {
	f := newCallFloor(t, false)
	rings := scenario{asked("INVITE"), response("180 Ringing", "")}
	info := strings.Replace(request("INFO", 4, "[next_url]", "", "[routes]", "Content-Type: application/dtmf-relay"),
		"Content-Length: [len]\n\n", "Content-Length: [len]\n\nSignal=5\nDuration=160\n", 1)
	gateway := f.system.sip("udp").String()
	refusedWith := func(status string, code int) struct{ caller, callee scenario } {
		refuses := answerWith(status, ";tag=[pid]-callee", "", `Warning: 399 inner-callee.example:5077 "media of inner-callee 10.77.0.33"`,
			`Reason: Q.850;cause=17;text="inner-callee is in there"`, "Error-Info: <sip:inner-callee@10.77.0.34>",
			"Server: inner-callee desk 9", "P-Asserted-Identity: <sip:inner-callee@10.77.0.35>", "Retry-After: 77 (inner-callee)")
		return struct{ caller, callee scenario }{
			steps(invited(plainSDP), scenario{maybe(180), got(code), ackBack(2, 4)}), scenario{asked("INVITE"), refuses, asked("ACK")}}
	}
	forwards := refusedWith("302 Moved Temporarily", 404)
	forwards.callee[1] = strings.Replace(forwards.callee[1], "\nContact: <sip:[service]@[local_ip]:[local_port]>", "\nContact: <sip:inner-callee-mobile@10.77.0.36>", 1)
	for name, c := range map[string]struct{ caller, callee scenario }{
		"refused with 404":    refusedWith("404 inner-callee Not Here", 404),
		"refused with 415":    refusedWith("415 inner-callee Media", 415),
		"refused with 480":    refusedWith("480 inner-callee Away", 480),
		"refused with 488":    refusedWith("488 inner-callee Not Acceptable", 488),
		"refused with 500":    refusedWith("500 inner-callee Broken", 500),
		"refused with 503":    refusedWith("503 inner-callee Full", 500),
		"refused with 603":    refusedWith("603 inner-callee Decline", 603),
		"forwarded to nobody": forwards,
		"offered again, with INFO": {
			steps(invited(plainSDP), answered, reinvites(3), scenario{info, got(200)}, leaves(5)), steps(answers, left)},
		"held": {
			steps(invited(plainSDP), answered, scenario{request("INVITE", 3, "[next_url]", plainSDP+"\na=sendonly", "[routes]"), maybe(100),
				got(200), ack(3, ""), pause(500)}, leaves(4)),
			steps(answers, scenario{asked("INVITE"), reply("200 OK", plainSDP), asked("ACK")}, left)},
		"without an offer": {
			steps(invited(""), scenario{maybe(180), got(200), ack(2, plainSDP), pause(300)}, leaves(3)), steps(answers, left)},
		"hung up by the callee": {
			steps(invited(plainSDP), answered, left), steps(answers, scenario{pause(300), ask("BYE", 1, ""), got(200)})},
		"refused": {
			steps(invited(plainSDP), scenario{maybe(180), got(486), ackBack(2, 4)}),
			scenario{asked("INVITE"), response("486 Busy Here", ""), asked("ACK")}},
		"cancelled": {
			steps(invited(plainSDP), scenario{got(180), cancel(2, 3), got(200), got(487), ackBack(2, 6)}),
			steps(rings, scenario{asked("CANCEL"), reply("200 OK", ""), toINVITE(response("487 Request Terminated", "")), asked("ACK")})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			extension := f.person()
			to := f.sippCalleeAt(t, "127.0.0.3", extension, marked(c.callee, "callee", "3"))
			from := f.sippRunAt(t, "127.0.0.2", marked(c.caller, "caller", "2"), f.person(), extension, freePortAt(t, "127.0.0.2"))
			ends(t, "the caller", from)
			ends(t, "the callee", to)
			a, b := packetsOf(t, from), packetsOf(t, to)
			for _, l := range leaks(a.sent, b.got, gateway) {
				t.Errorf("the callee sees of the caller: %s", l)
			}
			for _, l := range leaks(b.sent, a.got, gateway) {
				t.Errorf("the caller sees of the callee: %s", l)
			}
			if said := strings.Join(a.got, "\n"); strings.Contains(said, "inner-callee") {
				t.Errorf("the caller reads what is inside:\n%s", said)
			}
			for who, l := range map[string]leg{"caller": a, "callee": b} {
				if own := secretsOf(l.sent); !slices.Contains(own, "Secret Desk Phone/"+who) || len(l.got) < 2 {
					t.Errorf("too little was seen of the %s: %q, and %d messages", who, own, len(l.got))
				}
			}
		})
	}
}

// packetsOf reads what a sipp wrote down.
func packetsOf(t *testing.T, p *program) leg {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(p.cmd.Dir, "messages.log"))
	if err != nil {
		t.Fatal(err)
	}
	return divide(string(log))
}
