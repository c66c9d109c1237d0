package media_test

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// What a phone reports of its jitter is its own word: one that lies is not all that the node's metrics show.
func TestAPhoneThatLiesOfItsJitter(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a, b := f.call(setting{}), f.call(setting{})
	f.media.Relay(a.id, b.id)
	a.say(0, []byte("sound"))
	ours := b.hear().SSRC
	wait(t, "the phone's report is read", func() bool {
		b.report(&rtcp.ReceiverReport{SSRC: b.ssrc, Reports: []rtcp.ReceptionReport{{SSRC: ours, Jitter: 1<<32 - 1, TotalLost: 1}}})
		return f.media.Report(b.id).LostThere == 1
	})
	if got := f.media.Report(b.id).JitterThere; got != 10*time.Second {
		t.Errorf("a jitter of %v is believed", got)
	}
}
