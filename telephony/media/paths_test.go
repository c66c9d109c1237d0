package media_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/rtp"

	"demarc/telephony"
	"demarc/telephony/audio"
	"demarc/telephony/media"
)

// level returns the power of a frequency in samples, in dB of a full sine (Goertzel).
func level(samples []int16, hertz float64) float64 {
	k := 2 * math.Cos(2*math.Pi*hertz/audio.Rate)
	var a, b float64
	for _, s := range samples {
		a, b = float64(s)+k*a-b, a
	}
	power := (a*a + b*b - k*a*b) / (float64(len(samples)) * float64(len(samples)) / 4)
	return 10 * math.Log10(power/(32767*32767)+1e-12)
}

// listen collects what a phone hears, until it has that many samples.
func (p *phone) listen(law audio.Law, samples int) []int16 {
	p.t.Helper()
	var heard []int16
	var number uint16
	for len(heard) < samples {
		packet := p.hear()
		if len(heard) > 0 && packet.SequenceNumber != number+1 {
			p.t.Fatalf("number %d after %d", packet.SequenceNumber, number)
		}
		number = packet.SequenceNumber
		heard = law.Decode(heard, packet.Payload)
	}
	return heard
}

// hum sends a tone until the returned function is called.
func (p *phone) hum(law audio.Law, hertz float64) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for at := 0; ; at += 160 {
			samples := make([]int16, 160)
			for i := range samples {
				samples[i] = int16(6000 * math.Sin(2*math.Pi*hertz*float64(at+i)/audio.Rate))
			}
			p.say(p.as.Send, law.Encode(nil, samples))
			select {
			case <-every.C:
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

const there, away = -25.0, -45.0 // dB of a tone that is heard, and of one that is not

func TestMusicAndTonesAreHeard(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a, b := f.call(setting{payload: 8, codec: "PCMA", suite: "AEAD_AES_256_GCM"}), f.call(setting{})
	f.media.Relay(a.id, b.id)
	f.media.Play(a.id, "busy", true)
	heard := a.listen(audio.ALaw, 16000)
	if got := level(heard[:480*8], 425); got < there {
		t.Errorf("busy: 425 Hz at %.1f dB", got)
	}
	if got := level(heard[500*8:900*8], 425); got > away {
		t.Errorf("between: 425 Hz at %.1f dB", got)
	}
	f.media.Play(a.id, "music", true)
	quiet := 0
	for _, s := range a.listen(audio.ALaw, 16000) {
		if s > -100 && s < 100 {
			quiet++
		}
	}
	if quiet > 8000 {
		t.Errorf("of the music %d samples of 16000 are silent", quiet)
	}
	b.say(0, []byte("nobody hears me"))
	f.media.Relay(a.id, b.id)
	wait(t, "the other phone is heard again", func() bool {
		b.say(0, []byte("but now"))
		return string(a.hear().Payload) == "but now"
	})
}

func TestAnAnnouncementEndsOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeWAV(t, filepath.Join(dir, "closed.wav"), 700, 4800)
	f := start(t, func(c *media.Config) { c.Announcements = dir })
	a := f.call(setting{})
	f.media.Play(a.id, "closed", false)
	if got := level(a.listen(audio.MuLaw, 4800), 700); got < there {
		t.Errorf("700 Hz at %.1f dB", got)
	}
	wait(t, "its end is told", func() bool { return len(f.told(telephony.PlayEnded)) == 1 })
	if queued(t, a.media) != 0 || len(f.told(telephony.PlayEnded)) != 1 {
		t.Error("it goes on after its end")
	}
	if e := f.told(telephony.PlayEnded)[0]; e.ID != a.id {
		t.Errorf("told %+v", e)
	}
	f.media.Play(a.id, "no such sound", true)
	if queued(t, a.media) != 0 {
		t.Error("a sound that nobody knows is heard")
	}
}

func writeWAV(t *testing.T, path string, hertz float64, samples int) {
	t.Helper()
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data")
	b = binary.LittleEndian.AppendUint32(b, uint32(2*samples))
	for i := range samples {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(8000*math.Sin(2*math.Pi*hertz*float64(i)/audio.Rate))))
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSoundsThatCannotBePlayedEndTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "music.wav")
	if err := os.WriteFile(path, []byte("no music"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := media.New(media.Config{Ports: media.PortRange{First: 8000, Last: 8999}, Music: path}); err == nil {
		t.Error("nonsense is taken for music")
	}
}

func TestACodecThatWeDoNotSpeakHearsSilence(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a := f.call(setting{payload: 9, codec: "G722"})
	f.media.Play(a.id, "music", true)
	b := f.call(setting{})
	f.media.Play(b.id, "music", true)
	b.listen(audio.MuLaw, 1600)
	if n := queued(t, a.media); n != 0 {
		t.Errorf("%d packets of what it cannot decode", n)
	}
}

func TestThreeHearEachOther(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	phones := []*phone{
		f.call(setting{suite: "AEAD_AES_256_GCM"}), f.call(setting{payload: 8, codec: "PCMA"}), f.call(setting{suite: "AES_CM_128_HMAC_SHA1_80", mux: true}),
	}
	laws := []audio.Law{audio.MuLaw, audio.ALaw, audio.MuLaw}
	tones := []float64{500, 900, 1700}
	f.media.Relay(phones[0].id, phones[1].id)
	f.media.Mix(phones[0].id, phones[1].id, phones[2].id)
	for i, p := range phones {
		defer p.hum(laws[i], tones[i])()
	}
	for i, p := range phones {
		heard := p.listen(laws[i], 12000)[4000:]
		for j, tone := range tones {
			if got := level(heard, tone); (i == j) != (got < away) || (i != j) != (got > there) {
				t.Errorf("phone %d hears the tone of phone %d at %.1f dB", i, j, got)
			}
		}
	}
	f.media.Mix(phones[0].id, phones[1].id) // the third one goes
	phones[0].listen(laws[0], 16000)        // of before
	heard := phones[0].listen(laws[0], 8000)
	if mine, gone := level(heard, tones[1]), level(heard, tones[2]); mine < there || gone > away {
		t.Errorf("after one has gone the other is heard at %.1f dB, the one that went at %.1f", mine, gone)
	}
	phones[2].listen(laws[2], 40000) // of before, too
	if got := level(phones[2].listen(laws[2], 8000), tones[0]); got > away {
		t.Errorf("who is left alone hears the others at %.1f dB", got)
	}
}

func TestDigitsCrossAndAreTold(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a, b := f.call(setting{digits: 101, suite: "AES_CM_128_HMAC_SHA1_80"}), f.call(setting{digits: 96})
	deaf := f.call(setting{})
	f.media.Relay(a.id, b.id)
	for n, digit := range []byte("4*") {
		code := byte(map[byte]int{'4': 4, '*': 10}[digit])
		a.stamp += 8000
		for i := range 8 {
			end := byte(0)
			if i >= 5 {
				end = 0x80
			}
			a.sequence++
			a.send(a.media, a.packet(101, []byte{code, end | 10, byte(160 * i >> 8), byte(160 * i)}))
			heard := b.hear()
			if heard.PayloadType != 96 || heard.Payload[0] != code || heard.Payload[1]&0x80 != end {
				t.Fatalf("digit %d crosses as %+v", n, heard)
			}
		}
	}
	wait(t, "both are told", func() bool { return len(f.told(telephony.DigitHeard)) >= 2 })
	var got []byte
	for _, e := range f.told(telephony.DigitHeard) {
		got = append(got, e.Digit)
		if e.ID != a.id {
			t.Errorf("told of leg %d", e.ID)
		}
	}
	if string(got) != "4*" {
		t.Errorf("heard %q", got)
	}
	f.media.Relay(a.id, deaf.id)
	a.say(101, []byte{1, 0x8a, 1, 0})
	a.say(0, []byte("sound"))
	if heard := deaf.hear(); string(heard.Payload) != "sound" {
		t.Errorf("a phone without telephone-events gets %q", heard.Payload)
	}
}

// What a phone is not sent it must not miss: its reports would tell of loss where there is none.
func TestWhatIsForNobodyIsNotLost(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	a, deaf := f.call(setting{digits: 101}), f.call(setting{})
	f.media.Relay(a.id, deaf.id)
	var last uint16
	for n := range 5 {
		a.say(0, []byte("sound"))
		heard := deaf.hear()
		if n > 0 && heard.SequenceNumber != last+1 {
			t.Errorf("sound %d has the number %d after %d", n, heard.SequenceNumber, last)
		}
		last = heard.SequenceNumber
		for part := range n {
			a.say(101, []byte{5, 10, byte(part), 0}) // a digit
			a.say(13, []byte{40})                    // comfort noise
		}
	}
}

// Who presses a key and hangs up must not look as if his network were bad.
func TestDigitsAreNoJitter(t *testing.T) {
	t.Parallel()
	f := start(t, nil)
	p := f.call(setting{payload: 0, digits: 101})
	p.say(0, []byte("sound"))
	const parts = 20
	for n := range parts {
		p.sequence++
		p.send(p.media, p.packet(101, []byte{5, 10, byte(n), 0}))
		wait(t, "it is counted", func() bool { return f.media.Report(p.id).Received == uint64(n+2) })
	}
	if r := f.media.Close(p.id); r.Jitter != 0 || r.Lost != 0 {
		t.Errorf("report %+v", r)
	}
}

// A phone may go from one protection to another and back. Our key stays that of the leg, and begins to count anew: what it protects then
// must come from another source, or who listens gets two packets under one key stream.
func TestAKeyThatComesBackProtectsNothingTwice(t *testing.T) {
	t.Parallel()
	const suite = "AES_CM_128_HMAC_SHA1_80"
	for name, other := range map[string]string{"after plain": "", "after another suite": "AEAD_AES_256_GCM"} {
		f := start(t, nil)
		a, b := f.call(setting{}), f.call(setting{suite: suite})
		f.media.Relay(a.id, b.id)
		hear := func(as string) *rtp.Packet {
			b.seal, b.open = nil, nil
			f.agree(b, setting{suite: as})
			a.say(0, []byte("sound"))
			heard := b.hear()
			if string(heard.Payload) != "sound" {
				t.Fatalf("%s: hears %q by %q", name, heard.Payload, as)
			}
			return heard
		}
		first, again := hear(suite), hear(suite)
		hear(other)
		back := hear(suite)
		if first.SSRC != again.SSRC || back.SSRC == first.SSRC || back.SequenceNumber >= 1<<15 {
			t.Errorf("%s: source %x number %d, the same key again %x, and later %x number %d", name, first.SSRC, first.SequenceNumber, again.SSRC,
				back.SSRC, back.SequenceNumber)
		}
		if r := f.media.Close(b.id); r.Sent != 4 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
