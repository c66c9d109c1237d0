package interop_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// scenario is what sipp does, step by step.
type scenario []string

// text is the scenario as sipp reads it.
func (s scenario) text() string {
	return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"test\">\n" + strings.Join(s, "\n") + "\n</scenario>\n"
}

// plainSDP is a description of sipp's, in plain RTP/AVP and G.711.
const plainSDP = `v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 8
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000`

// request is one of the caller's, outside a dialog to begin with: sipp fills in the tag and the target when it has them.
func request(method string, cseq int, uri, body string, headers ...string) string {
	return message(`retrans="500"`, fmt.Sprintf(`%s %s SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <sip:[service]@[domain]>;tag=[pid]-[call_number]
To: <sip:[callee]@[domain]>[peer_tag_param]
Call-ID: [call_id]
CSeq: %d %s
Contact: <sip:[service]@[local_ip]:[local_port]>`, method, uri, cseq, method), body, headers...)
}

// response answers the INVITE that begins a call; reply answers what comes within it.
func response(status, body string) string { return answerWith(status, ";tag=[pid]-callee", body) }
func reply(status, body string) string    { return answerWith(status, "", body) }

func answerWith(status, tag, body string, headers ...string) string {
	return message("", "SIP/2.0 "+status+`
[last_Via:]
[last_From:]
[last_To:]`+tag+`
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[service]@[local_ip]:[local_port]>`, body, headers...)
}

// toINVITE turns an answer to a CANCEL into one to the INVITE that it cancels: they share their Via.
func toINVITE(response string) string {
	return strings.Replace(response, "[last_CSeq:]", "CSeq: [last_cseq_number] INVITE", 1)
}

func message(attributes, head, body string, headers ...string) string {
	for _, h := range headers {
		head += "\n" + h
	}
	if body != "" {
		head += "\nContent-Type: application/sdp"
	}
	return "<send " + attributes + "><![CDATA[\n" + head + "\nContent-Length: [len]\n\n" + body + "\n]]></send>"
}

// ack goes to the far end that a 2xx named.
func ack(cseq int, body string) string {
	return once(request("ACK", cseq, "[next_url]", body, "[routes]"))
}

// ackBack and cancel belong to the INVITE that stands so many steps before them.
func ackBack(cseq, steps int) string {
	return once(sameBranch(request("ACK", cseq, callee, ""), steps))
}

func cancel(cseq, steps int) string {
	return untagged(sameBranch(request("CANCEL", cseq, callee, ""), steps))
}

// untagged takes the tag from the To of what is no part of a dialog.
func untagged(request string) string { return strings.Replace(request, "[peer_tag_param]", "", 1) }

func sameBranch(request string, steps int) string {
	return strings.Replace(request, "[branch]", fmt.Sprintf("[branch-%d]", steps), 1)
}

func once(request string) string { return strings.Replace(request, ` retrans="500"`, "", 1) }

const callee = "sip:[callee]@[domain]"

func got(status int) string   { return fmt.Sprintf(`<recv response="%d" rrs="true"/>`, status) }
func maybe(status int) string { return fmt.Sprintf(`<recv response="%d" optional="true"/>`, status) }

// asked waits for a request, and remembers the far end's tag for requests of the callee's own.
func asked(method string) string {
	return fmt.Sprintf(`<recv request="%s" rrs="true"><action><ereg regexp="tag=([^;>]*)" search_in="hdr" header="From:"
check_it="true" assign_to="1,2"/></action></recv><Reference variables="1,2"/>`, method)
}

// ask is a request of the callee's within the call.
func ask(method string, cseq int, body string) string {
	r := request(method, cseq, "[next_url]", body, "[routes]")
	r = strings.Replace(r, "tag=[pid]-[call_number]", "tag=[pid]-callee", 1)
	return strings.Replace(r, "To: <"+callee+">[peer_tag_param]", "To: <sip:caller@[domain]>;tag=[$2]", 1)
}

func pause(milliseconds int) string { return fmt.Sprintf(`<pause milliseconds="%d"/>`, milliseconds) }

// invited is how every call begins: an INVITE, the challenge, and the INVITE again.
func invited(body string, headers ...string) scenario {
	return scenario{
		request("INVITE", 1, callee, body, headers...), maybe(100), `<recv response="407" auth="true"/>`, ackBack(1, 3),
		untagged(request("INVITE", 2, callee, body, append(headers, "[authentication]")...)), maybe(100),
	}
}

// obeys answers whatever is offered anew, until the far end hangs up.
var obeys = scenario{
	`<label id="11"/>`, `<recv request="INVITE" optional="true" next="12"/>`, `<recv request="BYE" next="13"/>`,
	`<label id="12"/>`, reply("200 OK", plainSDP), `<recv request="ACK" next="11"/>`,
	`<label id="13"/>`, reply("200 OK", ""),
}

// holding waits for a request one of whose headers fits, and remembers the far end's tag too.
func holding(method, header, pattern string) string {
	return fmt.Sprintf(`<recv request="%s" rrs="true"><action><ereg regexp="tag=([^;>]*)" search_in="hdr" header="From:"
check_it="true" assign_to="1,2"/><ereg regexp="%s" search_in="hdr" header="%s:" check_it="true" assign_to="3"/></action></recv>
<Reference variables="1,2,3"/>`, method, pattern, header)
}

// moved answers that the user is elsewhere.
func moved(to string) string {
	return strings.Replace(answerWith("302 Moved Temporarily", ";tag=[pid]-callee", ""), "<sip:[service]@[local_ip]:[local_port]>", "<"+to+">", 1)
}

// refers asks as the callee to connect the far end with somebody else.
func refers(to string) string {
	return strings.Replace(ask("REFER", 1, ""), "\nContact:", "\nRefer-To: <"+to+">\nContact:", 1)
}

// told waits for a response whose body holds something, or holds nothing.
func told(status int, body string) string {
	check := fmt.Sprintf(`regexp="%s" search_in="body" check_it="true"`, body)
	if body == "" {
		check = `regexp="m=" search_in="body" check_it_inverse="true"`
	}
	return fmt.Sprintf(`<recv response="%d" rrs="true"><action><ereg %s assign_to="3"/></action></recv><Reference variables="3"/>`,
		status, check)
}

// numbered has what waits for a response remember its RSeq, for pracks.
func numbered(recv string) string {
	const ereg = `<ereg regexp="[0-9]+" search_in="hdr" header="RSeq:" check_it="true" assign_to="4"/>`
	if strings.Contains(recv, "<action>") {
		return strings.Replace(recv, "<action>", "<action>"+ereg, 1)
	}
	return strings.Replace(recv, "/>", "><action>"+ereg+"</action></recv>", 1)
}

// pracks confirms a numbered response to the INVITE of CSeq 2.
func pracks(cseq int, body string) string {
	return request("PRACK", cseq, "[next_url]", body, "RAck: [$4] 2 INVITE", "[routes]")
}

// sippRun starts sipp with a scenario on a port, for one call.
func (f *callFloor) sippRun(t *testing.T, s scenario, extension, callee, port string) *program {
	t.Helper()
	return f.sippRunAt(t, "127.0.0.1", s, extension, callee, port)
}

// sippRunAt does that at another address of this host.
func (f *callFloor) sippRunAt(t *testing.T, address string, s scenario, extension, callee, port string) *program {
	t.Helper()
	return f.sippTimes(t, 1, address, s, extension, callee, port)
}

// sippTimes does that for so many calls. What it sends and gets is in messages.log.
func (f *callFloor) sippTimes(t *testing.T, calls int, address string, s scenario, extension, callee, port string) *program {
	t.Helper()
	dir := t.TempDir()
	path := write(t, dir, "scenario.xml", s.text())
	args := []string{f.system.sip("udp").String(), "-sf", path, "-m", strconv.Itoa(calls), "-t", "u1", "-i", address, "-p", port, "-s", extension,
		"-au", extension, "-ap", theirPassword, "-key", "domain", domain, "-key", "callee", callee, "-nostdin", "-aa",
		"-trace_err", "-trace_msg", "-message_file", filepath.Join(dir, "messages.log"), "-timeout", "60s", "-timeout_error"}
	return start(t, dir, "sipp", args...)
}

// sippCallee registers a person on a port and waits there for a call with a scenario.
func (f *callFloor) sippCallee(t *testing.T, extension string, s scenario) *program {
	t.Helper()
	return f.sippCalleeAt(t, "127.0.0.1", extension, s)
}

func (f *callFloor) sippCalleeAt(t *testing.T, address, extension string, s scenario) *program {
	t.Helper()
	return f.sippCalleeOf(t, 1, address, extension, s)
}

// sippCalleeOf waits for so many calls, one after the other or at once.
func (f *callFloor) sippCalleeOf(t *testing.T, calls int, address, extension string, s scenario) *program {
	t.Helper()
	port := freePortAt(t, address)
	if err := sippAt(t, net.JoinHostPort(address, port), "register.xml", f.system.sip("udp"), extension, domain, theirPassword); err != nil {
		t.Fatalf("sipp does not register: %v", err)
	}
	return f.sippTimes(t, calls, address, s, extension, "", port)
}

// sippCaller calls somebody with a scenario.
func (f *callFloor) sippCaller(t *testing.T, callee string, s scenario) *program {
	t.Helper()
	return f.sippRun(t, s, f.person(), callee, freePort(t))
}
