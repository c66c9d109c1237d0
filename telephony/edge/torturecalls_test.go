package edge_test

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/exchange"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// torturedCalls says what differs from torture where calls are served and everybody is who he says: 404 is what a call to
// nobody gets that was understood, 481 what is said within a dialog that is not there, and 488 an offer of codecs that we do
// not know.
func torturedCalls() map[string]string {
	return map[string]string{
		"wsinv": "481", "esc01": "404", "longreq": "404", "baddate": "404", "invut": "415", "sdp01": "406", "inv2543": "404",
		// RFC 5118
		"ipv6-in-sdp": "488", "mult-ip-in-header": "481", "mult-ip-in-sdp": "404", "ipv4-mapped-ipv6": "488",
		"via-received-param-with-delim": "481",
	}
}

// longer are messages of RFC 5118 with more body than they say. Over a stream the rest is read as the next message, which
// closes it: before or after the answer is out.
var longer = map[string]bool{"ipv6-in-sdp": true, "mult-ip-in-sdp": true, "ipv4-mapped-ipv6": true}

// switchboard is an edge's handler whose calls the real exchange takes.
type switchboard struct {
	*stub
	ready    chan struct{} // closed once there is an exchange: it is made after the edge
	exchange *exchange.Exchange
}

func (s *switchboard) Take(ev signal.Event) bool {
	<-s.ready
	return s.exchange.Take(ev)
}

// nobody is media without sockets, a directory without users and a history that is not kept.
type nobody struct{}

func (nobody) Open(telephony.MediaOpening) (sdp.Local, error) {
	return sdp.Local{Addr: netip.MustParseAddr("192.0.2.1"), Audio: sdp.Line{RTP: 20000, RTCP: 20001}}, nil
}
func (nobody) Agree(telephony.MediaID, sdp.Agreed) error                  { return nil }
func (nobody) Close(telephony.MediaID) telephony.MediaReport              { return telephony.MediaReport{} }
func (nobody) Relay(telephony.MediaID, telephony.MediaID)                 {}
func (nobody) Play(telephony.MediaID, string, bool)                       {}
func (nobody) Mix(...telephony.MediaID)                                   {}
func (nobody) Hush(telephony.MediaID)                                     {}
func (nobody) Write(context.Context, []telephony.CallChange) (int, error) { return 0, nil }
func (nobody) Targets(context.Context, account.ID, telephony.AoR) ([]signal.Target, error) {
	return nil, exchange.ErrUnknown
}

// noCalls is a history in which no call is open.
type noCalls struct{ nobody }

func (noCalls) Open(context.Context, string) ([]telephony.CallChange, error) { return nil, nil }

// TestTortureOfCalls sends the messages of RFC 4475 and RFC 5118 to where calls are served.
func TestTortureOfCalls(t *testing.T) {
	r := startTortured(t)
	files, err := filepath.Glob("../wire/testdata/rfc*/*.dat")
	want, calls := torture(), torturedCalls()
	maps.Copy(want, calls)
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files for %d answers, %v", len(files), len(want), err)
	}
	for _, transport := range []string{"udp", "tls"} {
		if transport == "tls" {
			maps.Copy(want, overStreams())
		}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".dat")
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := r.tortured(transport, raw, calls[name] == "")
			cut := got == "" && transport == "tls" && longer[name]
			if got != want[name] && !cut {
				t.Errorf("%s/%s: %q, want %q", transport, name, got, want[name])
			}
		}
	}
}

// startTortured runs an edge with the exchange behind it.
func startTortured(t *testing.T) *running {
	t.Helper()
	board := &switchboard{stub: newStub(nil), ready: make(chan struct{})}
	r := start(t, board, edge.Limits{MessageTime: 500 * time.Millisecond})
	board.exchange = exchange.New(exchange.Config{Node: "n", Key: []byte("a key for tests only, 32 bytes.."),
		Host:  func(telephony.Flow) (string, bool) { return "sip.example.com:5061", true },
		Ports: exchange.Ports{Signalling: r.Signalling(), Media: nobody{}, Paths: nobody{}, Contacts: nobody{}, History: noCalls{}}})
	board.exchange.Start(t.Context())
	close(board.ready)
	t.Cleanup(func() {
		if err := board.exchange.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		r.stop()
	})
	return r
}
