package interop_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// hears waits until the last second of what a phone heard is the tone of another one.
func hears(t *testing.T, who string, c interface{ heard() (sound, error) }, hertz float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s hears %g Hz", who, hertz), func() (bool, any) {
		s, err := c.heard()
		end := s.last(time.Second)
		said := fmt.Sprintf("%v of sound, loudness %.4f, %.3f of it 440 Hz, %.3f 660 Hz, %.3f 1000 Hz, %v", s.length(),
			end.loudness(), end.share(callerTone), end.share(calleeTone), end.share(thirdTone), err)
		return end.length() >= time.Second && end.share(hertz) >= enough && end.loudness() > audible, said
	})
}

// audible is the least power that is no silence: phones may turn the tone down, to a fiftieth of its height at most.
const audible = 0.0001

// talk makes a call and waits until each hears the other.
func talk(t *testing.T, from, to seat) {
	t.Helper()
	from.dial(to.uri())
	to.awaitRing()
	to.answer()
	from.awaitTalk(1)
	to.awaitTalk(1)
	hears(t, "the caller", from, to.hertz)
	hears(t, "the callee", to, from.hertz)
}

// Two phones with nothing between them: what the tone test says of them is true.
func TestPhonesAlone(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	alone := func(user string, hertz int, more ...string) *barephone {
		return newBarephone(t, hertz, fmt.Sprintf("<sip:%s@127.0.0.1>;regint=0;mediaenc=srtp", user), more...)
	}
	a, b := alone("a", callerTone), alone("b", calleeTone, "sip_listen 127.0.0.1:"+port)
	a.dial("sip:b@127.0.0.1:" + port)
	b.awaitRing()
	b.answer()
	a.awaitTalk(1)
	b.awaitTalk(1)
	hears(t, "the caller", a, calleeTone)
	hears(t, "the callee", b, callerTone)
	a.press("42#")
	eventually(t, "the digits arrive", func() (bool, any) { return b.digits() == "42#", b.digits() })
	a.hangup()
	b.awaitEnd()
}

func TestLinphonesAlone(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	a := newLinecaller(t, callerTone, "sip_port=-1\nsip_tcp_port=-1\nmedia_encryption=srtp")
	b := newLinecaller(t, calleeTone, "sip_tcp_port=-1\nmedia_encryption=srtp\nsip_port="+port)
	a.dial("sip:b@127.0.0.1:" + port)
	b.awaitRing()
	b.answer()
	a.awaitTalk(1)
	b.awaitTalk(1)
	hears(t, "the caller", a, calleeTone)
	hears(t, "the callee", b, callerTone)
	a.press("42#")
	eventually(t, "the digits arrive", func() (bool, any) { return b.digits() == "42#", b.digits() })
	a.hangup()
	b.awaitEnd()
}

// The page's mouth and ear, joined by a peer connection within the page.
func TestPageAlone(t *testing.T) {
	t.Parallel()
	s := newGateway(t)
	page := newWebphone(t, chromium(t, s), phonePages(t), "wss://localhost:1/", callerTone, "1001", "")
	page.do(`(async () => {
		const a = new RTCPeerConnection(), b = new RTCPeerConnection()
		a.onicecandidate = e => b.addIceCandidate(e.candidate)
		b.onicecandidate = e => a.addIceCandidate(e.candidate)
		b.ontrack = e => listen(new MediaStream([e.track]))
		a.addTrack(mouth.stream.getAudioTracks()[0])
		await a.setLocalDescription()
		await b.setRemoteDescription(a.localDescription)
		await b.setLocalDescription()
		await a.setRemoteDescription(b.localDescription)
	})()`)
	hears(t, "the page", page, callerTone)
}

// Each program calls each, with each protection it has, and both hear the other's tone and read the other's digits. A phone
// that can only do DTLS is called as it last offered itself, so that it calls here.
func TestCalls(t *testing.T) {
	f := newCallFloor(t, true)
	page := model{"page", "dtls", ""}
	usual := []model{{"baresip", "sdes", ""}, {"linphone", "sdes", ""}, page}
	others := []model{{"baresip", "dtls", ""}, {"linphone", "dtls", ""}, {"baresip", "plain", ""}, {"linphone", "plain", ""}}
	for _, pair := range append(product(usual, usual), product(others, usual)...) {
		t.Run(fmt.Sprintf("%s calls %s", pair[0], pair[1]), func(t *testing.T) {
			t.Parallel()
			from, to := f.seat(t, pair[0], callerTone), f.seat(t, pair[1], calleeTone)
			talk(t, from, to)
			presses(t, from, to, "19#")
			presses(t, to, from, "*0")
			from.hangup()
			to.awaitEnd()
		})
	}
}

// Each program holds, from either side of the call.
func TestHold(t *testing.T) {
	f := newCallFloor(t, true)
	baresip, linphone, page := model{"baresip", "sdes", ""}, model{"linphone", "sdes", ""}, model{"page", "dtls", ""}
	for _, pair := range [][2]model{{linphone, page}, {page, linphone}, {baresip, page}, {baresip, linphone}} {
		t.Run(fmt.Sprintf("%s and %s", pair[0], pair[1]), func(t *testing.T) {
			t.Parallel()
			from, to := f.seat(t, pair[0], callerTone), f.seat(t, pair[1], calleeTone)
			talk(t, from, to)
			holds(t, from, to)
			if pair[0] != baresip {
				holds(t, to, from)
			}
			to.hangup()
			from.awaitEnd()
		})
	}
}

func product(a, b []model) [][2]model {
	var pairs [][2]model
	for _, x := range a {
		for _, y := range b {
			pairs = append(pairs, [2]model{x, y})
		}
	}
	return pairs
}

// reader is a phone that tells which digits it was sent. Browsers do not.
type reader interface{ digits() string }

// dials digits and waits until the other phone has read them.
func presses(t *testing.T, from, to seat, digits string) {
	t.Helper()
	read, ok := to.caller.(reader)
	if !ok {
		return
	}
	before := read.digits()
	from.press(digits)
	eventually(t, to.extension+" reads the digits "+digits, func() (bool, any) {
		return strings.TrimPrefix(read.digits(), before) == digits, read.digits()
	})
}

// holds puts the other one on hold, who hears music and no more of the first; then both talk again.
func holds(t *testing.T, who, held seat) {
	t.Helper()
	who.hold()
	eventually(t, "who is held hears music", func() (bool, any) {
		s, err := held.heard()
		end := s.last(time.Second)
		said := fmt.Sprintf("%v of sound, loudness %.4f, %.3f of it the tone, %v", s.length(), end.loudness(), end.share(who.hertz), err)
		return end.length() >= time.Second && end.loudness() > audible && end.share(who.hertz) < 1-enough, said
	})
	who.resume()
	hears(t, "who was held", held, who.hertz)
	if _, deaf := who.caller.(*barephone); !deaf { // 1.0.0 writes nothing down any more after a re-INVITE
		hears(t, "who held", who, held.hertz)
	}
}

// A phone sends who it talks with to somebody else, and is out of it.
func TestBlindTransfer(t *testing.T) {
	f := newCallFloor(t, true)
	baresip, linphone, page := model{"baresip", "sdes", ""}, model{"linphone", "sdes", ""}, model{"page", "dtls", ""}
	for _, who := range [][3]model{{linphone, baresip, page}, {page, linphone, baresip}, {linphone, page, baresip}} {
		t.Run(fmt.Sprintf("by %s", who[1]), func(t *testing.T) {
			t.Parallel()
			first, by, to := f.seat(t, who[0], callerTone), f.seat(t, who[1], calleeTone), f.seat(t, who[2], thirdTone)
			talk(t, first, by)
			by.refer(to.uri())
			to.awaitRing()
			to.answer()
			to.awaitTalk(1)
			by.awaitEnd()
			hears(t, "who was transferred", first, thirdTone)
			hears(t, "whom he was transferred to", to, callerTone)
			to.hangup()
			first.awaitEnd()
		})
	}
}

// A phone holds one call, asks somebody else in a second one, and joins the two.
func TestAttendedTransfer(t *testing.T) {
	f := newCallFloor(t, true)
	baresip, linphone, page := model{"baresip", "sdes", ""}, model{"linphone", "sdes", ""}, model{"page", "dtls", ""}
	for _, who := range [][3]model{{page, linphone, baresip}, {linphone, page, baresip}} {
		t.Run(fmt.Sprintf("by %s", who[1]), func(t *testing.T) {
			t.Parallel()
			first, by, to := f.seat(t, who[0], callerTone), f.seat(t, who[1], calleeTone), f.seat(t, who[2], thirdTone)
			talk(t, first, by)
			by.hold()
			by.dial(to.uri())
			to.awaitRing()
			to.answer()
			by.awaitTalk(2)
			hears(t, "who asks", by, thirdTone)
			hears(t, "who is asked", to, calleeTone)
			by.caller.(joiner).join()
			hears(t, "who was transferred", first, thirdTone)
			hears(t, "whom he was transferred to", to, callerTone)
			to.hangup()
			first.awaitEnd()
		})
	}
}

// joiner is a phone that can transfer who is in its first call to who is in its second.
type joiner interface{ join() }

// Two talk, a third one joins them, and everybody hears the others.
func TestConference(t *testing.T) {
	f := newCallFloor(t, true)
	first := f.seat(t, g711, callerTone)
	second, third := f.seat(t, model{"page", "dtls", ""}, calleeTone), f.seat(t, model{"page", "dtls", ""}, thirdTone)
	talk(t, first, second)
	header := run[string](second.caller.(*webphone), "invitation(0)")
	third.caller.(*webphone).do(fmt.Sprintf("dial(%q, %q)", second.uri(), header))
	third.awaitTalk(1)
	hearsBoth(t, "the first", first, calleeTone, thirdTone)
	hearsBoth(t, "the second", second, callerTone, thirdTone)
	hearsBoth(t, "the third", third, callerTone, calleeTone)
	third.hangup()
	hears(t, "the first", first, calleeTone)
	hears(t, "the second", second, callerTone)
	first.hangup()
	second.awaitEnd()
}

// hearsBoth waits until the last second of what a phone heard is two tones at once, neither drowning the other.
func hearsBoth(t *testing.T, who string, c caller, a, b float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s hears %g and %g Hz", who, a, b), func() (bool, any) {
		s, err := c.heard()
		end := s.last(time.Second)
		one, two := end.share(a), end.share(b)
		said := fmt.Sprintf("%v of sound, loudness %.4f, %.3f and %.3f of it the tones, %v", s.length(), end.loudness(), one, two, err)
		return end.loudness() > audible && one+two >= enough && min(one, two) > 0.2, said
	})
}
