package media_test

import (
	"testing"
)

// A phone has another key after its hold, and counts the turns of its sequence numbers on: it is heard as before.
func TestAPhoneWithANewKeyIsHeard(t *testing.T) {
	t.Parallel()
	const suite = "AES_CM_128_HMAC_SHA1_80"
	f := start(t, nil)
	a, b := f.call(setting{suite: suite}), f.call(setting{})
	f.media.Relay(a.id, b.id)
	for a.sequence != 10 { // which began shortly before its first turn
		a.say(0, []byte("by the first key"))
		b.hear()
	}
	agreed := a.agreed(setting{suite: suite})
	agreed.Audio.RemoteKey = someKey(t, suite, 99)
	if err := f.media.Agree(a.id, agreed); err != nil {
		t.Fatal(err)
	}
	a.seal = protection(t, agreed.Audio.RemoteKey)
	a.seal.SetROC(a.ssrc, 1)
	a.say(0, []byte("by the second key"))
	if got := b.hear(); string(got.Payload) != "by the second key" {
		t.Errorf("heard is %q", got.Payload)
	}
}
