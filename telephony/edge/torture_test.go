package edge_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"demarc/telephony/edge"
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
		"badinv01": "400", "clerr": "400", "ncl": "400", "scalar02": "400", "scalarlg": "", "quotbal": "400", "ltgtruri": "",
		"lwsruri": "", "lwsstart": "", "trws": "", "escruri": "400", "baddate": "405", "regbadct": "400", "badaspec": "400",
		"baddn": "", "badvers": "505", "mismatch01": "400", "mismatch02": "400", "bigcode": "",
		// §3.2, §3.3, §3.4: transaction and application layer, backward compatibility
		"badbranch": "200", "insuf": "", "unkscm": "416", "novelsc": "416", "unksm2": "400", "bext01": "420", "invut": "405",
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

func TestTorture(t *testing.T) {
	r := start(t, &fake{}, edge.Limits{})
	want := torture()
	files, err := filepath.Glob("../wire/testdata/rfc*/*.dat")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files for %d answers, %v", len(files), len(want), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".dat")
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		nc := r.dial("udp")
		_, _ = nc.Write(raw)
		_, _ = io.WriteString(nc, message("PUBLISH", "UDP", "last")) // shows that nothing came before it
		got := answers(t, nc, 1)[0]
		if strings.Contains(got, "CSeq: 1 PUBLISH") {
			got = strings.Repeat(" ", 9)
		}
		if code, ok := want[name]; !ok || strings.TrimSpace(status(got)) != code {
			t.Errorf("%s: %q, want %q", name, status(got), code)
		}
	}
}
