package interop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// linecaller is a linphonec that calls: it says a tone from a file, writes into another what it hears, and is told what to
// do on its console.
type linecaller struct {
	*program
	record string
}

// newLinecaller starts one with further lines for its configuration's section [sip], and whole sections.
func newLinecaller(t *testing.T, hertz float64, sip string, sections ...string) *linecaller {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".local/share/linphone"), 0o700); err != nil {
		t.Fatal(err)
	}
	ports := linphonePorts.next()
	rc := write(t, dir, "linphonerc", fmt.Sprintf(`[sip]
verify_server_certs=1
verify_server_cn=1
sip_tls_port=-1
guess_hostname=0
use_ipv6=0
use_info=0
use_rfc2833=1
%s
[rtp]
audio_rtp_port=%d-%d
[net]
firewall_policy=0
[sound]
echocancellation=0
agc=0
[video]
automatically_initiate=0
automatically_accept=0
[misc]
%s
`, sip, ports.first, ports.last, strings.Join(sections, "\n")))
	spoken := write(t, dir, "spoken.wav", string(tone(16000, 2*time.Minute, hertz).wav()))
	l := &linecaller{record: filepath.Join(dir, "heard.wav")}
	l.program = start(t, dir, "linphonec", "-c", rc, "-S")
	l.say("soundcard use files")
	l.say("play " + spoken)
	l.say("record " + l.record)
	return l
}

// awaitSaid waits until linphonec has said something n times.
func (l *linecaller) awaitSaid(what string, n int) {
	l.t.Helper()
	eventually(l.t, fmt.Sprintf("linphonec says %q %d times", what, n), func() (bool, any) {
		said := l.output.String()
		return strings.Count(said, what) >= n, said
	})
}

// awaitRegistered asks until linphonec says that it is: by itself it tells failures alone.
func (l *linecaller) awaitRegistered() {
	l.t.Helper()
	asked := 0
	eventually(l.t, "linphonec is registered", func() (bool, any) {
		said := l.output.String()
		if strings.Count(said, "registered=-1") == asked {
			asked++
			l.say("status register")
		}
		return strings.Contains(said, "registered, identity="), said
	})
}

func (l *linecaller) dial(uri string) { l.t.Helper(); l.say("call " + uri) }
func (l *linecaller) awaitRing()      { l.t.Helper(); l.awaitSaid("Receiving new incoming call", 1) }
func (l *linecaller) awaitTalk(calls int) {
	l.t.Helper()
	l.awaitSaid("Media streams established", calls)
}
func (l *linecaller) awaitEnd()        { l.t.Helper(); l.awaitSaid(" ended (", 1) }
func (l *linecaller) answer()          { l.t.Helper(); l.say("answer") }
func (l *linecaller) hangup()          { l.t.Helper(); l.say("terminate") }
func (l *linecaller) hold()            { l.t.Helper(); l.say("pause") }
func (l *linecaller) resume()          { l.t.Helper(); l.say("resume") }
func (l *linecaller) refer(uri string) { l.t.Helper(); l.say("transfer " + uri) }

// join transfers its first call to its second.
func (l *linecaller) join() { l.t.Helper(); l.say("transfer 1 --to-call 2") }

func (l *linecaller) press(digits string) {
	l.t.Helper()
	for _, d := range digits {
		l.say(string(d))
	}
}

// digits returns those that it was sent.
func (l *linecaller) digits() string {
	const received = "Receiving tone "
	digits := ""
	for _, said := range strings.Split(l.output.String(), received)[1:] {
		digits += said[:1]
	}
	return digits
}

// heard reads its recording. The header of the file is empty until the call ends, so that the rate is guessed: it is the one
// at which most of the energy is at one of the tones, which are chosen so that no other rate does that.
func (l *linecaller) heard() (sound, error) {
	b, err := os.ReadFile(l.record)
	const header = 44
	if err != nil || len(b) < header {
		return sound{}, fmt.Errorf("linphonec has written nothing down: %w", err)
	}
	s, share := sound{samples: samples(b[header:], 1)}, -1.0
	for _, rate := range []int{8000, 16000, 48000} {
		guess := sound{rate: rate, samples: s.samples}
		end := guess.last(time.Second)
		if at := max(end.share(callerTone), end.share(calleeTone), end.share(thirdTone)); at > share {
			s, share = guess, at
		}
	}
	return s, nil
}
