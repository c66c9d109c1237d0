package exchange_test

import (
	"slices"
	"testing"

	"demarc/telephony/sdp"
)

func TestHoldAndResumeWithMusic(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice, "opus", "PCMA"), s.phone(bob, "opus", "PCMA")
	caller, callee := s.talk(a, b)

	caller.offer(sdp.SendOnly)
	caller.answered()
	held := b.incoming("INVITE")
	if got := callee.answer(held, sdp.SendRecv); got.Audio.Direction != sdp.RecvOnly || got.Audio.Codec.Name != "PCMA" {
		t.Errorf("who is held hears %s %s, want to receive PCMA alone", got.Audio.Direction, got.Audio.Codec.Name)
	}
	b.incoming("ACK")
	s.until("music", func() bool { return slices.Contains(s.paths, "play music") })

	caller.offer(sdp.SendRecv)
	caller.answered()
	back := b.incoming("INVITE")
	if got := callee.answer(back, sdp.SendRecv); got.Audio.Direction != sdp.SendRecv || got.Audio.Codec.Name != "opus" {
		t.Errorf("who is no longer held has %s %s, want opus both ways", got.Audio.Direction, got.Audio.Codec.Name)
	}
	s.until("both hear each other", func() bool { return s.paths[len(s.paths)-1] == "relay" })
	caller.hangUp()
	callee.bye()
	s.ended()
}

func TestReinviteThatMetAnotherIsSentAgain(t *testing.T) {
	s := newSite(t)
	a, b := s.phone(alice, "PCMA"), s.phone(bob, "PCMA")
	caller, callee := s.talk(a, b)
	caller.offer(sdp.SendOnly)
	caller.answered()
	first := b.incoming("INVITE")
	callee.respondTo(first, 491, nil)
	again := b.incoming("INVITE") // after 2.1 to 4 s
	callee.answer(again, sdp.SendRecv)
	b.incoming("ACK")
	caller.hangUp()
	callee.bye()
	s.ended()
}
