package edge_test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"demarc/telephony/edge"
	"demarc/telephony/wire"
)

// torture says what each message of RFC 4475 and RFC 5118 gets on a leg without digest: a status code, or nothing.
// Requests for calls get 405 whatever else they hold, since calls are not served here.
func torture() map[string]string {
	return map[string]string{
		// RFC 4475 §3.1.1: valid messages
		"wsinv": "405", "intmeth": "501", "esc01": "405", "escnull": "200", "esc02": "501", "lwsdisp": "200",
		"longreq": "405", "dblreq": "200", "semiuri": "200", "transports": "200", "mpart01": "405",
		"unreason": "", "noreason": "",
		// §3.1.2: invalid messages
		"badinv01": "400", "clerr": "400", "ncl": "400", "scalar02": "400", "scalarlg": "", "quotbal": "400", "ltgtruri": "400",
		"lwsruri": "400", "lwsstart": "400", "trws": "400", "escruri": "400", "baddate": "405", "regbadct": "400", "badaspec": "400",
		"baddn": "400", "badvers": "505", "mismatch01": "400", "mismatch02": "400", "bigcode": "",
		// §3.2, §3.3, §3.4: transaction and application layer, backward compatibility
		"badbranch": "200", "insuf": "400", "unkscm": "416", "novelsc": "416", "unksm2": "400", "bext01": "420", "invut": "405",
		"regaut01": "200", "multi01": "400", "mcl01": "400", "bcast": "", "zeromf": "200", "cparam01": "200",
		"cparam02": "200",
		"regescrt": "200", "sdp01": "405", "inv2543": "405",
		// RFC 5118
		"ipv6-good": "200", "ipv6-bad": "400", "port-ambiguous": "200", "port-unambiguous": "200",
		"via-received-param-with-delim": "405", "via-received-param-no-delim": "200", "ipv6-in-sdp": "405",
		"mult-ip-in-header": "405", "mult-ip-in-sdp": "405", "ipv4-mapped-ipv6": "405",
		"ipv6-bug-abnf-3-colons": "400", "ipv6-correct-abnf-2-colons": "200",
	}
}

// overStreams says what differs where a message's end is told by its Content-Length alone (RFC 3261 §18.3).
func overStreams() map[string]string {
	return map[string]string{
		"clerr":   "",    // waits for a body that never comes, and is closed
		"inv2543": "400", // has no Content-Length, which RFC 2543 allowed: the stream cannot go on
	}
}

// knownFailures lists messages that are not yet answered as they should be, as "transport/name". It ends empty.
func knownFailures(t *testing.T) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile("testdata/known-failures.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			known[line] = true
		}
	}
	return known
}

func TestTorture(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{MessageTime: 500 * time.Millisecond})
	known := knownFailures(t)
	files, err := filepath.Glob("../wire/testdata/rfc*/*.dat")
	if want := torture(); err != nil || len(files) != len(want) {
		t.Fatalf("%d files for %d answers, %v", len(files), len(want), err)
	}
	for _, transport := range []string{"udp", "tls"} {
		want := torture()
		if transport == "tls" {
			maps.Copy(want, overStreams())
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".dat")
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code, ok := want[name]
			got := r.tortured(transport, raw, true)
			fails := !ok || got != code
			switch key := transport + "/" + name; {
			case fails && !known[key]:
				t.Errorf("%s: %q, want %q", key, got, code)
			case !fails && known[key]:
				t.Errorf("%s is answered well: take it off testdata/known-failures.txt", key)
			}
		}
	}
}

// tortured sends a message and returns the status of its final answer, or nothing. When it is marked, a second message goes
// after it that shows where the first one's answer would be: the final answer to an INVITE comes later than that.
func (r *running) tortured(transport string, raw []byte, marked bool) string {
	r.t.Helper()
	nc := r.dial(transport)
	_, _ = nc.Write(raw)
	if marked {
		_, _ = io.WriteString(nc, message("PUBLISH", transport, "last"))
	}
	framer := wire.NewFramer(wire.Limits{})
	var m wire.Message
	buf := make([]byte, 64<<10)
	for {
		event, err := framer.Next(&m)
		if err != nil && m.Status > 0 { // the answer to insuf lacks what insuf lacks
			return fmt.Sprint(m.Status)
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if event == wire.Whole {
			switch {
			case string(m.CSeqMethod) == "PUBLISH":
				return ""
			case m.Status >= 200:
				return fmt.Sprint(m.Status)
			}
			continue
		}
		if event != wire.More {
			continue
		}
		n, err := nc.Read(buf)
		if err != nil { // closed without an answer
			return ""
		}
		for rest := buf[:n]; len(rest) > 0; {
			n := copy(framer.Space(), rest)
			framer.Fill(n)
			rest = rest[n:]
		}
	}
}
