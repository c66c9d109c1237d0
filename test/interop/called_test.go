package interop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A phone that can do nothing but DTLS is called after it has called, by one that does it too and by one that does not.
func TestDTLSPhoneIsCalled(t *testing.T) {
	f := newCallFloor(t, true)
	page, sdes := model{"page", "dtls", ""}, model{"baresip", "sdes", ""}
	for _, pair := range [][2]model{{page, {"baresip", "dtls", ""}}, {sdes, {"linphone", "dtls", ""}}, {sdes, {"baresip", "dtls", ""}}} {
		t.Run(fmt.Sprintf("%s calls %s", pair[0], pair[1]), func(t *testing.T) {
			t.Parallel()
			from, to := f.seat(t, pair[0], callerTone), f.seat(t, pair[1], calleeTone)
			to.dial(from.uri())
			from.awaitRing()
			from.answer()
			to.awaitTalk(1)
			to.hangup()
			from.awaitEnd()

			from.dial(to.uri())
			to.awaitRing()
			to.answer()
			from.awaitTalk(2)
			to.awaitTalk(2)
			hears(t, "the caller", from, calleeTone)
			hears(t, "the callee", to, callerTone)
			from.hangup()
		})
	}
}

// baresip 1.0.0 that knows DTLS alone and has never called answers SDES with a fingerprint and no key. That call fails, and
// from then on it is offered what it knows.
func TestDTLSPhoneIsCalledAgain(t *testing.T) {
	f := newCallFloor(t, false)
	from, to := f.seat(t, model{"linphone", "sdes", ""}, callerTone), f.seat(t, model{"baresip", "dtls", ""}, calleeTone)
	from.dial(to.uri())
	to.awaitRing()
	to.answer()
	if c := f.callOf(t, from.extension); c.Cause.Code != 488 || c.AnsweredAt != (time.Time{}) {
		t.Errorf("the first call: %+v", c)
	}
	to.awaitEnd()
	from.dial(to.uri())
	to.caller.(*barephone).await("CALL_INCOMING", 2)
	to.answer()
	from.awaitTalk(1)
	hears(t, "the caller", from, calleeTone)
	hears(t, "the callee", to, callerTone)
	from.hangup()
}

// One that has never called is offered SDES, refuses, and is offered DTLS at once: its first call works, and is protected.
func TestDTLSPhoneIsCalledFirst(t *testing.T) {
	f := newCallFloor(t, false)
	from, to := f.seat(t, model{"linphone", "sdes", ""}, callerTone), f.seat(t, model{"linphone", "dtls", ""}, calleeTone)
	talk(t, from, to)
	var offers []string
	for _, m := range f.messages(to.extension) {
		if line := audioLine.FindStringSubmatch(m.Text); !m.Inbound && line != nil {
			offers = append(offers, line[2])
		}
	}
	if len(offers) != 2 || offers[0] != "RTP/SAVP" || !strings.HasPrefix(offers[1], "UDP/TLS/RTP/SAVP") {
		t.Errorf("it was offered %s", offers)
	}
	from.hangup()
	to.awaitEnd()
}
