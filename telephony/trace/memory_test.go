package trace_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"demarc/telephony"
	"demarc/telephony/trace"
)

// Of messages of any sizes the last ones are there, whole, wherever one ends and the next begins; and what is forgotten leaves its
// room to others.
func TestLastOnesComeBackWhole(t *testing.T) {
	const phones, limit = 40, 1 << 20
	r := trace.NewRecorder(limit)
	sent := make([][][]byte, phones)
	chance := rand.New(rand.NewPCG(1, 2))
	for n := range 40_000 {
		phone := chance.IntN(phones)
		text := bytes.Repeat([]byte{byte('a' + n%26)}, chance.IntN(1200))
		sent[phone] = append(sent[phone], text)
		r.Record(trace.Message{AoR: telephony.NewAoR(fmt.Sprint(phone), "pbx.test"), Text: text, Known: true})
		if n%64 > 0 {
			continue
		}
		found := r.Of(telephony.NewAoR(fmt.Sprint(phone), "pbx.test"), 0)
		if len(found) == 0 || len(found) > 64 {
			t.Fatalf("%d messages of a phone that sent %d", len(found), len(sent[phone]))
		}
		for i, e := range found {
			if want := sent[phone][len(sent[phone])-len(found)+i]; !bytes.Equal(e.Text, want) {
				t.Fatalf("message %d of %d is %.20q (%d bytes), not %.20q (%d)", i, len(found), e.Text, len(e.Text), want, len(want))
			}
		}
		if r.Bytes() > limit {
			t.Fatalf("%d bytes of %d", r.Bytes(), limit)
		}
	}
}

// Messages of one phone stand together: what they take is what they are long, and little more.
func TestMessagesStandTogether(t *testing.T) {
	const size, n = 520, 60
	r := trace.NewRecorder(1 << 20)
	for range n {
		r.Record(trace.Message{AoR: alice, Text: bytes.Repeat([]byte("a"), size), Known: true})
	}
	if got := len(r.Of(alice, 0)); got != n {
		t.Fatalf("%d messages", got)
	}
	if r.Bytes() > n*(size+100) {
		t.Errorf("%d messages of %d bytes take %d", n, size, r.Bytes())
	}
}
