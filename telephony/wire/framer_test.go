package wire_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"demarc/telephony/wire"
)

// frame feeds the stream in pieces and writes down what comes out.
func frame(stream string, piece int, l wire.Limits) []string {
	f := wire.NewFramer(l)
	var m wire.Message
	var out []string
	for i := 0; i < len(stream); {
		n := copy(f.Space(), stream[i:min(len(stream), i+piece)])
		f.Fill(n)
		i += n
		for {
			event, err := f.Next(&m)
			if err != nil && event != wire.Whole {
				return append(out, err.Error())
			}
			if err != nil {
				out = append(out, fmt.Sprintf("%v [%s]", err, m.Body))
				continue
			}
			if event == wire.More {
				break
			}
			switch event {
			case wire.Whole:
				out = append(out, fmt.Sprintf("%s %s [%s]", m.Method, m.CallID, m.Body))
			case wire.KeepAlive:
				out = append(out, "crlf")
			case wire.Ping:
				out = append(out, "ping")
			}
		}
	}
	return out
}

func TestFramerGivesTheSameForEveryPieceSize(t *testing.T) {
	folded := strings.Replace(register, "Call-ID: c@1", "Call-ID:\r\n c@2", 1)
	long := strings.Replace(register, "Length: 4", "Length: 60000", 1)[:len(register)] + strings.Repeat("z", 60000)
	stream := register + "\r\n\r\n" + folded + register + "\r\n" + register + "\r\n\r\n\r\n\r\n" + long + register
	want := strings.Join(frame(stream, len(stream), wire.Limits{}), ",")
	if n := strings.Count(want, "REGISTER"); n != 6 || strings.Count(want, "ping") != 3 {
		t.Fatalf("%d messages: %.300s", n, want)
	}
	for _, piece := range []int{1, 2, 3, 7, 100, 511, 512, 513, 4096} {
		if got := strings.Join(frame(stream, piece, wire.Limits{}), ","); got != want {
			t.Errorf("pieces of %d: %.300s", piece, got)
		}
	}
}

func TestFramerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		in    string
		fault wire.Fault
	}{
		"no length":    {strings.Replace(register, "Content-Length", "X", 1), wire.BadLength},
		"endless head": {"REGISTER " + strings.Repeat("a", 20000), wire.HeadTooLarge},
		"large body":   {strings.Replace(register, "Length: 4", "Length: 70000", 1), wire.BodyTooLarge},
		"no SIP":       {"GET / HTTP/1.1\r\n\r\n", wire.Malformed},
	} {
		for _, piece := range []int{1, 1000} {
			out := frame(c.in, piece, wire.Limits{})
			if last := out[len(out)-1]; !strings.Contains(last, c.fault.String()) {
				t.Errorf("%s: %v", name, out)
			}
		}
	}
}

// A bad message costs the stream only where readers may differ about where it ends.
func TestFramerGoesOnAfterABadMessage(t *testing.T) {
	bad := func(old, with string) string {
		changed := strings.Replace(register, old, with, 1)
		if changed == register {
			t.Fatalf("no %q in %q", old, register)
		}
		return changed
	}
	for name, c := range map[string]struct {
		in    string
		fault wire.Error
		ends  bool
	}{
		"no CSeq":            {bad("CSeq: ", "X-CSeq: "), wire.Error{Fault: wire.Missing, Where: "CSeq"}, false},
		"bad CSeq":           {bad("CSeq: 9", "CSeq: nine"), wire.Error{Fault: wire.Malformed, Where: "CSeq"}, false},
		"another method":     {bad("9 REGISTER", "9 INVITE"), wire.Error{Fault: wire.Mismatch, Where: "CSeq"}, false},
		"two Call-IDs":       {bad("Call-ID: c@1", "Call-ID: c@1\r\ni: c@2"), wire.Error{Fault: wire.Duplicate, Where: "Call-ID"}, false},
		"version":            {bad("SIP/2.0\r\n", "SIP/7.0\r\n"), wire.Error{Fault: wire.Version, Where: "start line"}, false},
		"spaces":             {bad("REGISTER sip", "REGISTER  sip"), wire.Error{Fault: wire.Malformed, Where: "start line"}, false},
		"two lengths":        {bad("Content-Length: 4", "Content-Length: 4\r\nl: 4"), wire.Error{Fault: wire.Duplicate, Where: "Content-Length"}, true},
		"two faults":         {bad("Content-Length: 4", "CSeq: 9 X\r\nContent-Length: 4\r\nl: 9"), wire.Error{Fault: wire.Duplicate, Where: "CSeq"}, true},
		"unreadable line":    {bad("X-Other: 1", "Content Length: 9"), wire.Error{Fault: wire.Malformed, Where: "headers"}, true},
		"LF alone":           {bad("X-Other: 1\r\n", "X-Other: 1\n"), wire.Error{Fault: wire.Malformed, Where: "line end"}, true},
		"no length, a fault": {bad("Content-Length: 4", "CSeq: 9 X"), wire.Error{Fault: wire.Duplicate, Where: "CSeq"}, true},
	} {
		for _, piece := range []int{1, 7, 10_000} {
			out := frame(c.in+register, piece, wire.Limits{})
			if !strings.HasPrefix(out[0], c.fault.Error()) || (len(out) == 1) != c.ends || !c.ends && !strings.HasPrefix(out[1], "REGISTER c@1 [") {
				t.Errorf("%s in pieces of %d: %q", name, piece, out)
			}
		}
	}
}

// A large head fed byte by byte must not be searched again and again.
func TestFramerIsLinear(t *testing.T) {
	limits := wire.Limits{Head: 4 << 20, Fields: 1 << 20}
	big := strings.Replace(register, "X-Other: 1", "X-Other: "+strings.Repeat("a", 1<<20), 1)
	if out := frame(big, 1, limits); len(out) != 1 || !strings.HasPrefix(out[0], "REGISTER") {
		t.Errorf("%v", out)
	}
}

func FuzzFramer(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		whole := frame(string(data), len(data)+1, wire.Limits{})
		single := frame(string(data), 1, wire.Limits{})
		if strings.Join(whole, "\n") != strings.Join(single, "\n") {
			t.Errorf("whole %q, byte by byte %q", whole, single)
		}
	})
}

func FuzzScan(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var m, again wire.Message
		err := m.Scan(data, wire.Limits{})
		if err2 := again.Scan(data, wire.Limits{}); !errors.Is(err2, err) {
			t.Errorf("%v, then %v: unfolding changed the message", err, err2)
		}
		if !m.Answerable() {
			return
		}
		_, _, _ = wire.ParseVia(m.Vias[0])
		for _, v := range append([][]byte{m.From, m.To, m.RequestURI}, m.Contacts...) {
			for value, rest, ok := wire.NextValue(v); ok; value, rest, ok = wire.NextValue(rest) {
				if n, ok := wire.ParseNameAddr(value); ok {
					u, _ := wire.ParseURI(n.URI)
					_ = wire.CanonicalUser(u.User)
				}
			}
		}
	})
}

// TestFramerRests has a stream fall silent in turn between messages, where it may give its memory up, and within one, where
// it must not.
func TestFramerRests(t *testing.T) {
	raw := "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP c;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n" +
		"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 4\r\n\r\nbody"
	f := wire.NewFramer(wire.Limits{})
	var m wire.Message
	for round := range 3 {
		f.Rest()
		if n := len(f.Space()); round > 0 && n > 64 {
			t.Errorf("%d bytes while it rests", n)
		}
		for rest := []byte(raw); len(rest) > 0; {
			n := copy(f.Space(), rest[:min(len(rest), 50)])
			f.Fill(n)
			rest = rest[n:]
			event, err := f.Next(&m)
			if err != nil || (event == wire.Whole) != (len(rest) == 0) {
				t.Fatalf("%v, %v with %d to come", event, err, len(rest))
			}
			f.Rest()
		}
		if string(m.Body) != "body" {
			t.Errorf("body %q", m.Body)
		}
	}
}
