package media_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"demarc/telephony"
	"demarc/telephony/media"
	"demarc/telephony/sdp"
)

// film is the video line of a phone, plain, as a phone of its own.
func (f *fixture) film(payload uint8) *phone {
	f.t.Helper()
	f.next++
	p := &phone{t: f.t, id: f.next, media: listenUDP(f.t), control: listenUDP(f.t), ssrc: 0x2000 * uint32(f.next), sequence: 100, stamp: 7}
	var err error
	p.local, err = f.media.Open(telephony.MediaOpening{ID: p.id, Listener: "udp", Peer: netip.MustParseAddr("127.0.0.1"), Video: true})
	if err != nil {
		f.t.Fatal(err)
	}
	if p.local.Video.RTP == 0 || p.local.Video.Keys[0].Key == p.local.Audio.Keys[0].Key {
		f.t.Fatalf("video %+v", p.local.Video)
	}
	a := p.agreed(setting{payload: payload})
	a.Video = a.Audio
	a.Video.Codec = sdp.Codec{Payload: payload, Name: "VP8", Rate: 90000}
	a.Audio.Remote, a.Audio.RemoteRTCP = netip.AddrPort{}, netip.AddrPort{}
	if err := f.media.Agree(p.id, a); err != nil {
		f.t.Fatal(err)
	}
	p.local.Audio = p.local.Video // what a phone sends to
	return p
}

func TestVideoIsRelayedWithWhatRepairsIt(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Video = true })
	a, b := f.film(96), f.film(120)
	f.media.Relay(a.id, b.id)
	var number uint16
	for range 5 {
		a.say(96, []byte("part of a picture"))
		heard := b.hear()
		if heard.PayloadType != 120 || heard.Marker {
			t.Fatalf("video comes as %+v", heard.Header)
		}
		number = heard.SequenceNumber
	}
	ours := uint32(0)
	for ours == 0 {
		for _, p := range b.hearReports() {
			if sr, ok := p.(*rtcp.SenderReport); ok {
				ours = sr.SSRC
			}
		}
	}
	b.report(&rtcp.ReceiverReport{SSRC: b.ssrc},
		&rtcp.TransportLayerNack{SenderSSRC: b.ssrc, MediaSSRC: ours, Nacks: []rtcp.NackPair{{PacketID: number - 1, LostPackets: 1}}},
		&rtcp.PictureLossIndication{SenderSSRC: b.ssrc, MediaSSRC: ours},
		&rtcp.FullIntraRequest{SenderSSRC: b.ssrc, FIR: []rtcp.FIREntry{{SSRC: ours, SequenceNumber: 3}}},
		&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: b.ssrc, Bitrate: 1e6, SSRCs: []uint32{ours}})
	seen := map[string]bool{}
	for n := 0; len(seen) < 3; n++ {
		if n > 5 {
			t.Fatalf("of what the viewer asks for only %v comes", seen)
		}
		for _, p := range a.hearReports() {
			switch p := p.(type) {
			case *rtcp.TransportLayerNack:
				seen["nack"] = true
				if p.MediaSSRC != a.ssrc || p.Nacks[0].PacketID != a.sequence-1 || p.Nacks[0].LostPackets != 1 {
					t.Errorf("%+v, and %d was sent last", p, a.sequence)
				}
			case *rtcp.PictureLossIndication:
				seen["pli"] = true
				if p.MediaSSRC != a.ssrc || p.SenderSSRC == b.ssrc {
					t.Errorf("%+v", p)
				}
			case *rtcp.FullIntraRequest:
				seen["fir"] = true
				if p.FIR[0].SSRC != a.ssrc || p.FIR[0].SequenceNumber != 3 {
					t.Errorf("%+v", p)
				}
			case *rtcp.ReceiverEstimatedMaximumBitrate:
				t.Error("an estimate of one way crosses")
			}
		}
	}
}

// One datagram may hold a hundred wishes: the other phone gets so many a second, and the rest is refused.
func TestWishesForPicturesAreBounded(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Video = true })
	a, b := f.film(96), f.film(120)
	f.media.Relay(a.id, b.id)
	a.say(96, []byte("part of a picture"))
	b.hear()
	wishes := []rtcp.Packet{&rtcp.ReceiverReport{SSRC: b.ssrc}}
	for range 100 {
		wishes = append(wishes, &rtcp.PictureLossIndication{SenderSSRC: b.ssrc, MediaSSRC: 1})
	}
	wait(t, "most of many wishes are refused", func() bool {
		for range 10 { // a port's queue takes no more
			b.report(wishes...)
		}
		time.Sleep(2 * time.Millisecond)
		return f.media.Counters().Refused["excess"] > 5000
	})
}

func TestVideoIsRefusedByPolicy(t *testing.T) {
	f := start(t, nil)
	local, err := f.media.Open(telephony.MediaOpening{ID: 1, Peer: netip.MustParseAddr("127.0.0.1"), Video: true})
	if err != nil || local.Video.RTP != 0 {
		t.Errorf("video %+v, %v", local.Video, err)
	}
}

// A picture that is taken away and comes back keeps the keys of its line: they neither number packets anew (RFC 3711 §9.1) nor
// let in what came before.
func TestVideoThatComesBackKeepsWhatWasMadeOfItsKeys(t *testing.T) {
	t.Parallel()
	f := start(t, func(c *media.Config) { c.Video = true })
	a, b := f.film(96), f.film(120)
	const suite = "AES_CM_128_HMAC_SHA1_80"
	with := a.agreed(setting{payload: 96, suite: suite})
	with.Video = with.Audio
	with.Video.Codec = sdp.Codec{Payload: 96, Name: "VP8", Rate: 90000}
	with.Audio.LocalKey, with.Audio.RemoteKey = someKey(t, suite, 50), someKey(t, suite, 60)
	with.Audio.Remote, with.Audio.RemoteRTCP = netip.AddrPort{}, netip.AddrPort{}
	without := with
	without.Video = sdp.Stream{}
	agree := func(as sdp.Agreed) {
		t.Helper()
		if err := f.media.Agree(a.id, as); err != nil {
			t.Fatal(err)
		}
	}
	agree(with)
	f.media.Relay(a.id, b.id)
	a.sequence++
	first := a.packet(96, []byte("part of a picture"))
	a.send(a.media, first)
	b.hear()
	agree(without)
	agree(with)
	refused := f.media.Counters().Refused["forged"]
	a.send(a.media, first)
	a.say(96, []byte("another part"))
	if heard := b.hear(); string(heard.Payload) != "another part" {
		t.Errorf("the viewer hears %q, which came before", heard.Payload)
	}
	if now := f.media.Counters().Refused["forged"]; now != refused+1 {
		t.Errorf("%d packets were refused since, want the one that came before", now-refused)
	}
}
