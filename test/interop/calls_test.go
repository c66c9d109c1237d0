package interop_test

import (
	"fmt"
	"testing"
	"time"
)

// caller is a phone that makes and takes calls.
type caller interface {
	dial(uri string)
	awaitRing()
	answer()
	awaitTalk()
	awaitEnd()
	hangup()
	heard() (sound, error)
}

// hears waits until the last second of what a phone heard is one tone.
func hears(t *testing.T, who string, c caller, hertz float64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s hears %g Hz", who, hertz), func() (bool, any) {
		s, err := c.heard()
		end := s.last(time.Second)
		share := end.share(hertz)
		said := fmt.Sprintf("%v of sound, loudness %.4f, %.3f of it 440 Hz, %.3f 660 Hz, %.3f 1000 Hz, %v", s.length(),
			end.loudness(), end.share(callerTone), end.share(calleeTone), end.share(thirdTone), err)
		return end.length() >= time.Second && share >= enough && end.loudness() > 0.0001, said
	})
}

// Two phones with nothing between them: what the tone test says of them is true.
func TestPhonesAlone(t *testing.T) {
	t.Parallel()
	port := freeUDPPort(t)
	alone := func(user string, hertz int, more ...string) *barephone {
		return newBarephone(t, hertz, fmt.Sprintf("<sip:%s@127.0.0.1>;regint=0;mediaenc=srtp", user), more...)
	}
	a, b := alone("a", callerTone), alone("b", calleeTone, "sip_listen 127.0.0.1:"+port)
	a.dial("sip:b@127.0.0.1:" + port)
	b.awaitRing()
	b.answer()
	a.awaitTalk()
	b.awaitTalk()
	hears(t, "the caller", a, calleeTone)
	hears(t, "the callee", b, callerTone)
	a.press("42#")
	eventually(t, "the digits arrive", func() (bool, any) { return b.digits() == "42#", b.digits() })
	a.hangup()
	b.awaitEnd()
}

func TestLinphonesAlone(t *testing.T) {
	t.Parallel()
	port := freeUDPPort(t)
	a := newLinecaller(t, callerTone, "sip_port=-1\nsip_tcp_port=-1\nmedia_encryption=srtp")
	b := newLinecaller(t, calleeTone, "sip_tcp_port=-1\nmedia_encryption=srtp\nsip_port="+port)
	a.dial("sip:b@127.0.0.1:" + port)
	b.awaitRing()
	b.answer()
	a.awaitTalk()
	b.awaitTalk()
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
