package edge_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"demarc/telephony"
	"demarc/telephony/edge"
	"demarc/telephony/events"
	"demarc/telephony/registration"
)

// notifier is a handler that serves SUBSCRIBE too.
type notifier struct {
	fake
	mu    sync.Mutex
	seen  []*events.Request
	reply events.Reply
}

func (n *notifier) Subscribe(_ context.Context, req *events.Request, reply func(events.Reply)) {
	n.mu.Lock()
	n.seen = append(n.seen, req)
	n.mu.Unlock()
	if n.reply.Status == -1 {
		panic("injected")
	}
	reply(n.reply)
	reply(events.Reply{Status: 500}) // counts for nothing
}

func (n *notifier) requests() []*events.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]*events.Request(nil), n.seen...)
}

func TestSubscribe(t *testing.T) {
	n := &notifier{reply: events.Reply{Status: 200, Expires: 300}}
	r := start(t, n, edge.Limits{})
	nc := r.dial("tcp")
	_, _ = io.WriteString(nc, message("SUBSCRIBE", "TCP", "1001", "o: dialog;id=7", "Accept: a/b, c/d;q=1", "Expires: 300",
		"Contact: \"A, B\" <sip:1001@192.0.2.1;ob>", "Record-Route: <sip:p1;lr>, <sip:p2;lr>", "Authorization: Digest a=\"b\""))
	got := answers(t, nc, 1)[0]
	for _, want := range []string{"200 OK", "Expires: 300\r\n", "Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n", "Contact: <sip:demarc@" + r.Addr("tcp").String() + ";transport=tcp>\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	req := n.requests()[0]
	_, tag, _ := strings.Cut(got, "To: <sip:1001@Example.com>;tag=")
	tag, _, _ = strings.Cut(tag, "\r\n")
	if req.LocalTag != tag || tag == "" {
		t.Errorf("the response has the tag %q, the handler was told %q", tag, req.LocalTag)
	}
	req.LocalTag = ""
	want := events.Request{
		Flow: req.Flow, Target: telephony.NewAoR("", "example.com"), User: telephony.NewAoR("1001", "example.com"),
		From: "<sip:1001@example.com>", To: "<sip:1001@Example.com>", RemoteTag: "f", CallID: "call-1001", CSeq: 1,
		Event: "dialog", EventID: "7", Accept: []string{"a/b", "c/d;q=1"}, Expires: 300, Contact: "sip:1001@192.0.2.1;ob",
		Route: []string{"<sip:p1;lr>", "<sip:p2;lr>"}, Authorize: []string{`Digest a="b"`},
	}
	if fmt.Sprint(*req) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", *req, want)
	}
	if c := r.Counters(); c.TwiceOrLate != 1 {
		t.Errorf("%d second replies were counted", c.TwiceOrLate)
	}
	_ = nc.Close()
	eventually(t, "the end of its connection is told", func() bool { _, closed := n.fake.seen(); return len(closed) == 1 })
}

// A second subscription must not come of a retransmission, and the answer is the same.
func TestSubscribeRetransmitted(t *testing.T) {
	n := &notifier{reply: events.Reply{Status: 200, Expires: 300}}
	r := start(t, n, edge.Limits{})
	nc := r.dial("udp")
	text := message("SUBSCRIBE", "UDP", "1", "Event: reg", "Contact: <sip:1@a>")
	var got []string
	for range 2 {
		_, _ = io.WriteString(nc, text)
		got = append(got, answers(t, nc, 1)...)
	}
	if len(n.requests()) != 1 || got[0] != got[1] {
		t.Errorf("%d requests, answered\n%s\nand\n%s", len(n.requests()), got[0], got[1])
	}
}

func TestSubscribeRefusals(t *testing.T) {
	n := &notifier{}
	r := start(t, n, edge.Limits{})
	nc := r.dial("tcp")
	for i, c := range []struct {
		reply events.Reply
		lines []string
		want  []string
	}{
		{events.Reply{Status: 489, Events: true, Expires: -1}, []string{"Event: x"}, []string{"489 Bad Event", "Allow-Events: reg, message-summary, dialog\r\n"}},
		{events.Reply{Status: 406, Accept: "a/b", Expires: -1}, []string{"Event: reg"}, []string{"406 ", "Accept: a/b\r\n"}},
		{events.Reply{Status: 423, MinExpires: 60, Expires: -1}, []string{"Event: reg"}, []string{"423 ", "Min-Expires: 60\r\n"}},
		{events.Reply{Status: 503, RetryAfter: 5, Expires: -1}, []string{"Event: reg"}, []string{"503 ", "Retry-After: 5\r\n"}},
		{events.Reply{Status: 401, Challenges: []string{"Digest a"}, Expires: -1}, []string{"Event: reg"}, []string{"401 ", "WWW-Authenticate: Digest a\r\n"}},
		{events.Reply{Status: -1}, []string{"Event: reg"}, []string{"500 "}},
		{events.Reply{}, nil, []string{"400 Bad Event"}},
		{events.Reply{}, []string{"Event: a", "o: b"}, []string{"400 Bad Event"}},
		{events.Reply{}, []string{"Event: reg", "Contact: <sip:a>, <sip:b>"}, []string{"400 Bad Contact"}},
		{events.Reply{}, []string{"Event: reg", "Record-Route: <sip:" + strings.Repeat("a", 3000) + ">"}, []string{"400 Record-Route Too Long"}},
	} {
		n.reply = c.reply
		_, _ = io.WriteString(nc, message("SUBSCRIBE", "TCP", fmt.Sprint(i), c.lines...))
		got := answers(t, nc, 1)[0]
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in\n%s", want, got)
			}
		}
	}
}

// What strangers are told, or cannot be told because it would be worth an attacker's while, leaves no transaction behind.
func TestSubscribeOfStrangersLeavesNothing(t *testing.T) {
	n := &notifier{reply: events.Reply{Status: 401, Challenges: []string{"Digest " + strings.Repeat("x", 300)}, Expires: -1}}
	r := start(t, n, edge.Limits{SourceRequests: 1 << 20})
	for _, transport := range []string{"udp", "tcp"} {
		nc := r.dial(transport)
		for i := range 20 {
			_, _ = io.WriteString(nc, message("SUBSCRIBE", transport, fmt.Sprint(i), "Event: reg", "Contact: <sip:1@a>"))
		}
		_, _ = io.WriteString(nc, message("OPTIONS", transport, "last"))
		if transport == "tcp" {
			answers(t, nc, 21)
		} else {
			answers(t, nc, 1) // all that fits
		}
	}
	if got := len(n.requests()); got != 40 {
		t.Errorf("%d requests", got)
	}
	if left := r.Transactions(); left != 0 {
		t.Errorf("%d transactions left", left)
	}
	n = &notifier{reply: events.Reply{Status: 200, Expires: 60, Sender: registration.Proven}}
	r = start(t, n, edge.Limits{})
	nc := r.dial("udp")
	for range 3 { // of one who proved who he is, a retransmission is known
		_, _ = io.WriteString(nc, message("SUBSCRIBE", "UDP", "proven", "Event: reg", "Contact: <sip:1@a>"))
		answers(t, nc, 1)
	}
	if got := len(n.requests()); got != 1 || r.Transactions() != 1 {
		t.Errorf("%d requests, %d transactions", got, r.Transactions())
	}
}
