package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// rtpengine is the other relay, in user space as demarc is.
type rtpengine struct {
	*process
	control string
	conn    net.Conn
	asked   int
}

func (b *bench) startRTPEngine(ctx context.Context) (*rtpengine, error) {
	dir := b.scratch()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	r := &rtpengine{control: ports[0]}
	r.process, err = start(nil, dir, "rtpengine", "--foreground", "--log-stderr", "--log-level=3", "--table=-1", "--num-threads=2",
		"--interface=127.0.0.1", "--listen-ng="+r.control, "--port-min=30000", "--port-max=39999", "--pidfile="+filepath.Join(dir, "pid"))
	if err != nil {
		return nil, err
	}
	if r.conn, err = net.Dial("udp", r.control); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	if err := r.await(ctx, func(ctx context.Context) error { _, err := r.ask(ctx, "ping"); return err }); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	return r, nil
}

// ask sends one command of its control protocol, keys and values in turn, and returns the answer (bencode over UDP).
func (r *rtpengine) ask(ctx context.Context, command string, pairs ...string) (string, error) {
	r.asked++
	cookie := fmt.Sprintf("c%d ", r.asked)
	var b strings.Builder
	b.WriteString(cookie + "d" + bencode("command") + bencode(command))
	for _, s := range pairs {
		b.WriteString(bencode(s))
	}
	b.WriteString("e")
	if err := r.conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", err
	}
	if _, err := r.conn.Write([]byte(b.String())); err != nil {
		return "", err
	}
	answer := make([]byte, 64<<10)
	for ctx.Err() == nil {
		n, err := r.conn.Read(answer)
		if err != nil {
			return "", err
		}
		if text, ok := strings.CutPrefix(string(answer[:n]), cookie); ok {
			if strings.Contains(text, "6:result5:error") {
				return "", fmt.Errorf("rtpengine: %s", text)
			}
			return text, nil
		}
	}
	return "", ctx.Err()
}

func bencode(s string) string { return strconv.Itoa(len(s)) + ":" + s }

func (r *rtpengine) call(ctx context.Context, n int, phones [2]phoneMedia) (to [2]netip.AddrPort, err error) {
	id := "call" + strconv.Itoa(n)
	answer, err := r.ask(ctx, "offer", "call-id", id, "from-tag", "a", "ICE", "remove", "transport-protocol", "RTP/AVP",
		"sdp", description(phones[0]))
	if err != nil {
		return to, err
	}
	if to[1], err = mediaPort(answer); err != nil {
		return to, err
	}
	answer, err = r.ask(ctx, "answer", "call-id", id, "from-tag", "a", "to-tag", "b", "ICE", "remove", "sdp", description(phones[1]))
	if err != nil {
		return to, err
	}
	to[0], err = mediaPort(answer)
	return to, err
}

func (r *rtpengine) hangUp(ctx context.Context, n int) error {
	_, err := r.ask(ctx, "delete", "call-id", "call"+strconv.Itoa(n), "from-tag", "a")
	return err
}

// description is what a phone says in SDP.
func description(p phoneMedia) string {
	profile, crypto := "RTP/AVP", ""
	if p.Key.Suite != "" {
		profile = "RTP/SAVP"
		crypto = fmt.Sprintf("a=crypto:%d %s inline:%s\r\n", p.Key.Tag, p.Key.Suite, p.Key.Key.Reveal())
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d %[3]s 0\r\na=rtcp-mux\r\n%[4]sa=sendrecv\r\n",
		p.Addr.Addr(), p.Addr.Port(), profile, crypto)
}

var audioPort = regexp.MustCompile(`m=audio (\d+) `)

func mediaPort(answer string) (netip.AddrPort, error) {
	m := audioPort.FindStringSubmatch(answer)
	if m == nil {
		return netip.AddrPort{}, fmt.Errorf("rtpengine answers without a port: %q", answer)
	}
	return netip.ParseAddrPort("127.0.0.1:" + m[1])
}

// rtpengineVersion returns what it says it is, for the table.
func rtpengineVersion() string {
	out, err := exec.Command("rtpengine", "--version").CombinedOutput()
	if err != nil {
		return "not installed"
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), "Version: "))
}
