package sip_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

func parse(t *testing.T, method, branch string) *wire.Message {
	t.Helper()
	cseq := method
	m := &wire.Message{}
	raw := method + " sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=" + branch + "\r\nFrom: <sip:a@b>;tag=1\r\n" +
		"To: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 " + cseq + "\r\n\r\n"
	if err := m.Scan([]byte(raw), wire.Limits{}); err != nil {
		t.Fatal(err)
	}
	return m
}

// step is one thing that happens to a transaction, and what is true after it.
type step struct {
	after   time.Duration // since the step before
	receive string        // a method, or nothing
	respond int
	sent    int // responses sent so far
	state   sip.State
	left    int // transactions in the table
}

func TestServerTransactions(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	for name, c := range map[string]struct {
		reliable bool
		steps    []step
	}{
		"non-INVITE over UDP keeps its answer for 64 T1 (timer J)": {false, []step{
			{0, "OPTIONS", 0, 0, sip.Proceeding, 1},
			{0, "OPTIONS", 0, 0, sip.Proceeding, 1},
			{0, "", 100, 1, sip.Proceeding, 1},
			{0, "OPTIONS", 0, 2, sip.Proceeding, 1},
			{0, "", 200, 3, sip.Completed, 1},
			{0, "", 500, 3, sip.Completed, 1},
			{31 * s, "OPTIONS", 0, 4, sip.Completed, 1},
			{1*s + ms, "", 0, 4, sip.Terminated, 0},
		}},
		"non-INVITE over a stream ends at once": {true, []step{
			{0, "OPTIONS", 0, 0, sip.Proceeding, 1},
			{0, "", 405, 1, sip.Terminated, 0},
		}},
		"INVITE over UDP sends its refusal again until the ACK (timers G, H, I)": {false, []step{
			{0, "INVITE", 0, 0, sip.Proceeding, 1},
			{0, "", 100, 1, sip.Proceeding, 1},
			{0, "INVITE", 0, 2, sip.Proceeding, 1},
			{0, "", 486, 3, sip.Completed, 1},
			{500 * ms, "", 0, 4, sip.Completed, 1},
			{1 * s, "", 0, 5, sip.Completed, 1},
			{2 * s, "", 0, 6, sip.Completed, 1},
			{4 * s, "", 0, 7, sip.Completed, 1},
			{4 * s, "", 0, 8, sip.Completed, 1}, // no longer than T2
			{0, "INVITE", 0, 9, sip.Completed, 1},
			{0, "ACK", 0, 9, sip.Confirmed, 1},
			{0, "ACK", 0, 9, sip.Confirmed, 1},
			{0, "INVITE", 0, 9, sip.Confirmed, 1},
			{5*s + ms, "", 0, 9, sip.Terminated, 0},
		}},
		"INVITE over UDP gives up without an ACK": {false, []step{
			{0, "INVITE", 0, 0, sip.Proceeding, 1},
			{0, "", 486, 1, sip.Completed, 1},
			{32*s + ms, "", 0, 11, sip.Terminated, 0},
		}},
		"INVITE over a stream sends once": {true, []step{
			{0, "INVITE", 0, 0, sip.Proceeding, 1},
			{0, "", 486, 1, sip.Completed, 1},
			{20 * s, "", 0, 1, sip.Completed, 1},
			{0, "ACK", 0, 1, sip.Terminated, 0},
		}},
		"2xx to INVITE is its user's to send again (RFC 6026)": {false, []step{
			{0, "INVITE", 0, 0, sip.Proceeding, 1},
			{0, "", 200, 1, sip.Accepted, 1},
			{10 * s, "INVITE", 0, 1, sip.Accepted, 1},
			{0, "ACK", 0, 1, sip.Accepted, 1},
			{22*s + ms, "", 0, 1, sip.Terminated, 0},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { play(t, c.reliable, c.steps) })
		})
	}
}

func play(t *testing.T, reliable bool, steps []step) {
	table := sip.NewTransactions(sip.Timers{}, 8)
	defer table.Close()
	var tx *sip.ServerTx
	sent := 0
	for i, st := range steps {
		time.Sleep(st.after)
		synctest.Wait()
		if st.receive != "" {
			got, fresh, err := table.Receive(parse(t, st.receive, "z9hG4bK1"), 1, reliable, func([]byte) { sent++ })
			if err != nil || fresh != (i == 0) {
				t.Fatalf("step %d: fresh %v, %v", i, fresh, err)
			}
			if fresh {
				tx = got
			}
		}
		if st.respond != 0 {
			tx.Respond(st.respond, []byte(fmt.Sprint(st.respond)))
		}
		if sent != st.sent || tx.State() != st.state || table.Len() != st.left {
			t.Errorf("step %d: sent %d, %s, %d left; want %+v", i, sent, tx.State(), table.Len(), st)
		}
	}
}

func TestTransactionsAreTold(t *testing.T) {
	table := sip.NewTransactions(sip.Timers{}, 4)
	defer table.Close()
	receive := func(method, branch string, flow uint64) (bool, error) {
		_, fresh, err := table.Receive(parse(t, method, branch), flow, false, func([]byte) {})
		return fresh, err
	}
	for i, c := range []struct {
		method, branch string
		flow           uint64
		fresh          bool
		err            error
	}{
		{"OPTIONS", "z9hG4bK1", 1, true, nil},
		{"OPTIONS", "z9hG4bK1", 1, false, nil},
		{"OPTIONS", "z9hG4bK1", 2, true, nil}, // another flow may not reach in
		{"MESSAGE", "z9hG4bK1", 1, true, nil},
		{"ACK", "z9hG4bK9", 1, false, nil},
		{"OPTIONS", "old", 1, true, nil}, // RFC 2543
		{"OPTIONS", "older", 1, false, nil},
		{"OPTIONS", "z9hG4bK2", 1, false, sip.ErrFull},
	} {
		fresh, err := receive(c.method, c.branch, c.flow)
		if fresh != c.fresh || !errors.Is(err, c.err) {
			t.Errorf("%d: fresh %v, %v", i, fresh, err)
		}
	}
	table.Close()
	if table.Len() != 0 {
		t.Errorf("%d left", table.Len())
	}
}
