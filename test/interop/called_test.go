package interop_test

import (
	"fmt"
	"slices"
	"strings"
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

// One that has never called is offered keys and a fingerprint. baresip takes the fingerprint; Linphone refuses, and is offered
// DTLS at once. The first call of either works and is protected, and the next one begins with DTLS.
func TestDTLSPhoneIsCalledFirst(t *testing.T) {
	f := newCallFloor(t, false)
	for program, want := range map[string][]string{
		"baresip":  {"RTP/SAVP", "UDP/TLS/RTP/SAVPF"},
		"linphone": {"RTP/SAVP", "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVPF"},
	} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			from, to := f.seat(t, model{"linphone", "sdes", ""}, callerTone), f.seat(t, model{program, "dtls", ""}, calleeTone)
			talk(t, from, to)
			from.hangup()
			to.awaitEnd()
			from.dial(to.uri())
			var offers []string
			eventually(t, "it is called again", func() (bool, any) {
				offers = nil
				for _, m := range f.messages(to.extension) {
					if line := audioLine.FindStringSubmatch(m.Text); !m.Inbound && strings.HasPrefix(m.Text, "INVITE ") && line != nil {
						offers = append(offers, line[2])
					}
				}
				return len(offers) >= len(want), offers
			})
			if !slices.Equal(offers, want) {
				t.Errorf("it was offered %s, want %s", offers, want)
			}
			from.hangup()
		})
	}
}
