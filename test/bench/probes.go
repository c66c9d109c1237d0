package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// probe asks for one user with a wrong password.
type probe struct{ user, domain string }

// probes measures whether the time of an answer tells a scanner who exists: REGISTERs with a wrong password for users, for
// nobody, and for domains that are not served, in turn, each from an address that never asked before. What is measured is
// the answer to the password; both ends and the kernel between them stand in it, as they do for a scanner.
func (b *bench) probes(ctx context.Context, rows *table) (err error) {
	count := 1_500 // each refusal is held back for a moment
	if b.quick {
		count = 200
	}
	d, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "telephony", users: count})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	kinds := []struct {
		name string
		of   func(n int) probe
		took []time.Duration
	}{
		{name: "a user", of: func(n int) probe { return probe{subscriber(n), realm} }},
		{name: "nobody", of: func(n int) probe { return probe{subscriber(n + 500_000), realm} }},
		{name: "a domain that is not served", of: func(n int) probe { return probe{subscriber(n), "else.test"} }},
	}
	for n := range count {
		for i := range kinds { // who comes first changes, so that no kind is always the one after a pause
			k := &kinds[(i+n)%len(kinds)]
			took, err := k.of(n).answered(ctx, d.udp, n*len(kinds)+i)
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			k.took = append(k.took, took)
		}
	}
	for i := range kinds {
		slices.Sort(kinds[i].took)
	}
	for _, k := range kinds {
		text := fmt.Sprintf("median %.0f µs, 90 %% within %.0f", micros(k.took[count/2]), micros(k.took[count*9/10]))
		if k.name != kinds[0].name {
			text += fmt.Sprintf("; told from a user by the time of one answer: %.1f %% right, 50 is chance",
				100*told(kinds[0].took, k.took))
		}
		rows.line(fmt.Sprintf("a wrong password for %s is answered (%d over UDP)", k.name, count), text, "–")
	}
	return nil
}

// answered asks from an address of its own on loopback and returns how long the answer to the password took.
func (p probe) answered(ctx context.Context, address string, number int) (took time.Duration, err error) {
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: stranger(number)}}
	conn, err := dialer.DialContext(ctx, "udp", address)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(readPatience)); err != nil {
		return 0, err
	}
	in := make([]byte, 4<<10)
	challenge, err := p.ask(conn, in, 1, "")
	if err != nil {
		return 0, err
	}
	asker := phone{user: p.user, ha1: md5hex("wrong")}
	answer := asker.sign(between(challenge, `nonce="`, `"`))
	began := time.Now()
	if _, err := p.ask(conn, in, 2, answer); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

// ask sends a REGISTER and returns the 401 to it.
func (p probe) ask(conn net.Conn, in []byte, cseq int, authorization string) ([]byte, error) {
	local := conn.LocalAddr().String()
	if _, err := fmt.Fprintf(conn, "REGISTER sip:%[2]s SIP/2.0\r\nVia: SIP/2.0/UDP %[3]s;rport;branch=z9hG4bK%[4]d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:%[1]s@%[2]s>;tag=t\r\nTo: <sip:%[1]s@%[2]s>\r\nCall-ID: %[3]s\r\nCSeq: %[4]d REGISTER\r\n"+
		"Contact: <sip:%[1]s@%[3]s>\r\nExpires: 600\r\nUser-Agent: bench\r\n%[5]sContent-Length: 0\r\n\r\n",
		p.user, p.domain, local, cseq, authorization); err != nil {
		return nil, err
	}
	n, err := conn.Read(in)
	if err != nil {
		return nil, err
	}
	if n < 11 || string(in[7:11]) != " 401" {
		return nil, fmt.Errorf("a wrong password gets %.40q, not 401", in[:n])
	}
	return in[:n], nil
}

// stranger returns an address of 127.0.0.0/8 for each number.
func stranger(n int) net.IP {
	return binary.BigEndian.AppendUint32(nil, 127<<24|1<<16+uint32(n))
}

// told returns how often somebody is right who sees two answers, one of each kind, and says by their times alone which is
// which: 0.5 is chance. Both are sorted.
func told(one, other []time.Duration) float64 {
	var before float64 // pairs in which one is the shorter
	for _, t := range one {
		first, _ := slices.BinarySearch(other, t)
		after, _ := slices.BinarySearchFunc(other, t, func(a, b time.Duration) int {
			if a <= b {
				return -1
			}
			return cmp.Compare(a, b)
		})
		before += float64(len(other)-after) + float64(after-first)/2
	}
	p := before / float64(len(one)*len(other))
	return max(p, 1-p)
}
