package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"demarc/telephony/trace"
)

// followPause is how often --follow asks.
const followPause = 300 * time.Millisecond

type traceCmd struct {
	onAccount
	Of     string `arg:"" name:"AOR|CALL-ID" help:"Extension, user@domain, or a Call-ID."`
	Follow bool   `short:"f" help:"Wait for more messages until interrupted."`
	Full   bool   `xor:"form" help:"Print whole messages below the ladder's lines."`
	JSON   bool   `name:"json" xor:"form" help:"Print JSON for scripts, one message a line."`
	Pcap   string `type:"path" xor:"form" placeholder:"FILE" help:"Write the messages to a capture file instead, for Wireshark or sngrep."`
}

func (traceCmd) Help() string {
	return "Shows the last SIP messages between the gateway and a phone as a ladder. The node on this machine asks the " +
		"others, and those that cannot be asked are named. Answers to digest challenges, passwords in URIs, SRTP keys and push tokens were taken " +
		"out before they were remembered. How far back it goes is a matter of telephony.trace_memory."
}

// tracedMessage is one message as the API tells it.
type tracedMessage struct {
	Node      string    `json:"node"`
	Seq       uint64    `json:"seq"`
	At        time.Time `json:"at"`
	AoR       string    `json:"aor"`
	CallID    string    `json:"callId"`
	Inbound   bool      `json:"inbound"`
	Transport string    `json:"transport"`
	Local     string    `json:"local,omitempty"`
	Remote    string    `json:"remote,omitempty"`
	Text      string    `json:"text"`
}

func (c *traceCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	var show func(tracedMessage) error
	told, done := traced{missing: map[string]bool{}}, func() error { return nil }
	defer func() { _ = done() }() // the second time it does nothing
	var away outage
	for first := true; ; first = false {
		err := told.read(ctx, op, c.Of)
		if err != nil && (first || ctx.Err() != nil) {
			return interrupted(ctx, err)
		}
		away.note(err, os.Stderr)
		told.nameMissing(os.Stderr)
		if first && len(told.Messages) == 0 && !c.Follow {
			return fmt.Errorf("no messages of %s are remembered: it said nothing since the gateway started, or long ago%s", c.Of,
				told.elsewhere())
		}
		if first { // only now: a name with a slip in it must not cost a file that is there
			if show, done, err = c.shower(out); err != nil {
				return err
			}
		}
		for _, m := range told.Messages {
			if err := show(m); err != nil {
				return err
			}
		}
		if !c.Follow {
			return done()
		}
		select {
		case <-ctx.Done():
			return done()
		case <-time.After(followPause):
		}
	}
}

// traced is what the API told last, and which nodes were named as missing.
type traced struct {
	Messages []tracedMessage `json:"messages"`
	Next     string          `json:"next"`
	Unasked  []struct {
		Node   string `json:"node"`
		Reason string `json:"reason"`
	} `json:"unasked"`
	missing map[string]bool
}

// read asks for what came since.
func (t *traced) read(ctx context.Context, op *operator, of string) error {
	query := url.Values{"of": {of}, "after": {t.Next}}
	t.Messages, t.Unasked = nil, nil
	return op.call(ctx, http.MethodGet, "/v1/trace?"+query.Encode(), nil, t)
}

// nameMissing says once of each node that its messages are missing.
func (t *traced) nameMissing(w io.Writer) {
	for _, n := range t.Unasked {
		if !t.missing[n.Node] {
			t.missing[n.Node] = true
			fmt.Fprintf(w, "node %s could not be asked: %s\n", plain(n.Node), plain(n.Reason))
		}
	}
}

func (t *traced) elsewhere() string {
	if len(t.Unasked) == 0 {
		return ""
	}
	return ", or to a node that could not be asked"
}

// interrupted makes Ctrl-C the ordinary end of following.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// shower returns what shows one message, and what ends the showing.
func (c *traceCmd) shower(out io.Writer) (show func(tracedMessage) error, done func() error, err error) {
	switch {
	case c.JSON:
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false) // messages are full of <
		return func(m tracedMessage) error { return encoder.Encode(m) }, func() error { return nil }, nil
	case c.Pcap == "":
		return c.ladder(out), func() error { return nil }, nil
	}
	file, err := os.OpenFile(c.Pcap, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := trace.WritePcapHeader(file); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	closed := false
	return func(m tracedMessage) error { return packet(file, m) }, func() error {
		if closed {
			return nil
		}
		closed = true
		return file.Close()
	}, nil
}

func packet(w io.Writer, m tracedMessage) error {
	local, _ := netip.ParseAddrPort(m.Local)   // what is not told shows as 0.0.0.0
	remote, _ := netip.ParseAddrPort(m.Remote) // likewise
	if m.Inbound {
		return trace.WritePcapPacket(w, m.At, remote, local, []byte(m.Text))
	}
	return trace.WritePcapPacket(w, m.At, local, remote, []byte(m.Text))
}

// rungWidth is how long the arrow between phone and gateway is, with what it carries.
const rungWidth = 48

// ladder draws messages, and says of which day they are: some are remembered for long.
func (c *traceCmd) ladder(out io.Writer) func(tracedMessage) error {
	day := ""
	return func(m tracedMessage) error {
		if d := m.At.Local().Format(time.DateOnly); d != day {
			day = d
			if _, err := fmt.Fprintln(out, m.At.Local().Format("2006-01-02 (MST)")); err != nil {
				return err
			}
		}
		return c.rung(out, m)
	}
}

// rung draws one message.
func (c *traceCmd) rung(out io.Writer, m tracedMessage) error {
	head, _, _ := strings.Cut(m.Text, "\r\n")
	label := plain(strings.TrimSuffix(strings.TrimPrefix(head, "SIP/2.0 "), " SIP/2.0"))
	if len([]rune(label)) > rungWidth-4 {
		label = string([]rune(label)[:rungWidth-5]) + "…"
	}
	line := "─ " + label + " " + strings.Repeat("─", rungWidth-3-len([]rune(label)))
	arrow := line + "▶"
	if !m.Inbound {
		arrow = "◀" + line
	}
	_, err := fmt.Fprintf(out, "%s  %-24s %s %s\n", m.At.Local().Format("15:04:05.000"),
		plain(m.AoR)+" "+m.Transport, arrow, plain(m.Node))
	if err == nil && c.Full {
		for l := range strings.Lines(m.Text) {
			if _, err = fmt.Fprintln(out, "    "+plain(strings.TrimRight(l, "\r\n"))); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintln(out)
	}
	return err
}
