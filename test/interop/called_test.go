package interop_test

import (
	"fmt"
	"testing"
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
