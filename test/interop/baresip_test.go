package interop_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// barephone is a baresip that calls: it says a tone, writes down what it hears, and is told what to do over ctrl_tcp.
type barephone struct {
	*program
	dir     string
	control net.Conn

	mu     sync.Mutex
	events []bareEvent
}

// bareEvent is one event of ctrl_tcp, or what a command has answered.
type bareEvent struct {
	Event     bool
	Response  bool
	Data      string // of a response
	Type      string
	PeerURI   string
	Direction string
	ID        string
	Param     string
}

// newBarephone starts one that has an account, as baresip writes it in its file of accounts, and further lines of
// configuration.
func newBarephone(t *testing.T, hertz int, account string, config ...string) *barephone {
	t.Helper()
	b := &barephone{dir: t.TempDir()}
	port := freeTCPPort(t)
	write(t, b.dir, "contacts", "")
	write(t, b.dir, "accounts", account+"\n")
	write(t, b.dir, "config", fmt.Sprintf(`module_path %s
module opus.so
module g722.so
module g711.so
module ausine.so
module aubridge.so
module sndfile.so
module srtp.so
module dtls_srtp.so
module ctrl_tcp.so
module_app uuid.so
module_app account.so
module_app menu.so
ctrl_tcp_listen 127.0.0.1:%s
net_interface 127.0.0.1
rtp_ports %d-%d
audio_source ausine,%d
audio_player aubridge,nobody
audio_alert aubridge,nobody
ausrc_srate 48000
ausrc_channels 2
snd_path %s
%s
`, modules(t), port, baresipPorts.first, baresipPorts.last, hertz, b.dir, strings.Join(config, "\n")))
	b.program = start(t, b.dir, "baresip", "-f", b.dir)
	eventually(t, "baresip takes commands", func() (bool, any) {
		var err error
		b.control, err = net.Dial("tcp4", "127.0.0.1:"+port)
		return err == nil, err
	})
	var reading sync.WaitGroup
	reading.Go(b.listen)
	t.Cleanup(func() {
		b.terminate()
		_ = b.control.Close()
		reading.Wait()
	})
	return b
}

// listen keeps the events until the connection ends.
func (b *barephone) listen() {
	r := bufio.NewReader(b.control)
	for {
		length, err := r.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
		if err != nil || n < 0 || n > 1<<20 {
			return
		}
		message := make([]byte, n+1) // with the comma of the netstring
		if _, err := io.ReadFull(r, message); err != nil {
			return
		}
		var e bareEvent
		if json.Unmarshal(message[:n], &e) == nil && (e.Event || e.Response) {
			b.mu.Lock()
			b.events = append(b.events, e)
			b.mu.Unlock()
		}
	}
}

// do runs a command of baresip's menu.
func (b *barephone) do(command, params string) {
	b.t.Helper()
	text, err := json.Marshal(map[string]string{"command": command, "params": params})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(b.control, "%d:%s,", len(text), text); err != nil {
		b.t.Fatalf("baresip does not listen: %v", err)
	}
}

// count returns how many events of a type there were, and the parameters of all.
func (b *barephone) count(kind string) (int, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, params := 0, ""
	for _, e := range b.events {
		if e.Type == kind {
			n++
			params += e.Param
		}
	}
	return n, params
}

// await waits until an event of a type was there n times.
func (b *barephone) await(kind string, n int) {
	b.t.Helper()
	eventually(b.t, fmt.Sprintf("baresip tells %s %d times", kind, n), func() (bool, any) {
		got, _ := b.count(kind)
		b.mu.Lock()
		defer b.mu.Unlock()
		return got >= n, b.events
	})
}

// awaitRegistered asks until baresip says that it is: it may have registered before anybody listened.
func (b *barephone) awaitRegistered() {
	b.t.Helper()
	asked := 0
	eventually(b.t, "baresip is registered", func() (bool, any) {
		b.mu.Lock()
		answers, last := 0, ""
		for _, e := range b.events {
			if e.Response && strings.Contains(e.Data, "User Agents") {
				answers, last = answers+1, e.Data
			}
		}
		b.mu.Unlock()
		if answers == asked {
			asked++
			b.do("reginfo", "")
		}
		return strings.Contains(last, "OK"), last
	})
}

func (b *barephone) dial(uri string)     { b.t.Helper(); b.do("dial", uri) }
func (b *barephone) awaitRing()          { b.t.Helper(); b.await("CALL_INCOMING", 1) }
func (b *barephone) awaitTalk(calls int) { b.t.Helper(); b.await("CALL_ESTABLISHED", calls) }
func (b *barephone) awaitEnd()           { b.t.Helper(); b.await("CALL_CLOSED", 1) }
func (b *barephone) answer()             { b.t.Helper(); b.do("accept", "") }
func (b *barephone) hangup()             { b.t.Helper(); b.do("hangup", "") }
func (b *barephone) hold()               { b.t.Helper(); b.do("hold", "") }
func (b *barephone) resume()             { b.t.Helper(); b.do("resume", "") }
func (b *barephone) refer(uri string)    { b.t.Helper(); b.do("transfer", uri) }

func (b *barephone) press(digits string) {
	b.t.Helper()
	for _, d := range digits {
		b.do("sndcode", string(d))
	}
}

// digits returns those that it was sent.
func (b *barephone) digits() string {
	_, digits := b.count("CALL_DTMF_START")
	return digits
}

// heard reads what sndfile wrote of the newest call.
func (b *barephone) heard() (sound, error) {
	files, err := filepath.Glob(filepath.Join(b.dir, "dump-*-dec.wav"))
	if err != nil || len(files) == 0 {
		return sound{}, fmt.Errorf("baresip has written nothing down: %w", err)
	}
	newest, at := "", time.Time{}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && !info.ModTime().Before(at) {
			newest, at = file, info.ModTime()
		}
	}
	return readWAV(newest)
}

// freeTCPPort returns a port that was free a moment ago, below those that the kernel gives to whoever asks for any.
func freeTCPPort(t *testing.T) string {
	t.Helper()
	for {
		port := strconv.Itoa(30000 + rand.IntN(2768))
		if l, err := net.Listen("tcp4", "127.0.0.1:"+port); err == nil {
			defer l.Close()
			return port
		}
	}
}
