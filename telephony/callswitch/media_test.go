package callswitch_test

import (
	"bytes"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// Of three who talk, one phone that falls silent or whose media fails leaves the other two.
func TestAConferenceGoesOnWithoutAPhoneThatFails(t *testing.T) {
	for _, kind := range []telephony.MediaEventKind{telephony.MediaStopped, telephony.SecurityFailed} {
		w := joined(t)
		w.fact(callswitch.Noticed{Leg: 3, Event: telephony.MediaEvent{ID: 3, Kind: kind}})
		bye, _ := w.sentTo(3, "BYE")
		w.respond(bye, 200, nil)
		w.quiet(1, "BYE")
		w.quiet(2, "BYE")
		if w.call.State != states.Talking || w.call.Leg(3).Cause.Who != telephony.Network {
			t.Errorf("after event %v the call is %v, the leg ended by %v", kind, w.call.State, w.call.Leg(3).Cause)
		}
		w.finish()
	}
}

// A caller who hears early media need not send any before the answer: how long he has been silent then says nothing.
func TestSilenceBeforeTheAnswerDoesNotEndTheCall(t *testing.T) {
	w := newWorld(t.Fatalf)
	tx := w.invite(true)
	out, k := w.sentTo(2, "INVITE")
	early := w.fars[2].answerTo(k.out.Body)
	w.respond(out, 183, func(r *signal.Response) { r.ContentType, r.Body = "application/sdp", early })
	w.now = w.now.Add(50 * time.Second)
	w.respond(out, 200, func(r *signal.Response) { r.Body = early })
	w.ack(tx, false)
	w.now = w.now.Add(100 * time.Millisecond)
	w.fact(callswitch.Noticed{Leg: 1, Event: telephony.MediaEvent{ID: 1, Kind: telephony.MediaStopped, After: 30 * time.Second}})
	if w.call.State != states.Talking {
		t.Errorf("the call is %v by %v", w.call.State, w.call.Cause)
	}
	w.now = w.now.Add(29 * time.Second) // the media counts by a clock of its own
	w.fact(callswitch.Noticed{Leg: 1, Event: telephony.MediaEvent{ID: 1, Kind: telephony.MediaStopped, After: 30 * time.Second}})
	if w.call.State != states.Closing || w.call.Cause.Code != 408 {
		t.Errorf("half a minute later it is %v by %v", w.call.State, w.call.Cause)
	}
	w.finish()
}

// A line with port 0 is none (RFC 3264 §5.1): no ports are taken for it, nor for an offer that is refused for want of audio.
func TestPortsAreTakenForWhatIsOfferedAlone(t *testing.T) {
	session := "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
	for name, c := range map[string]struct {
		lines        string
		audio, video bool
		status       int
	}{
		"audio":                 {"m=audio 4000 RTP/AVP 8\r\n", true, false, 0},
		"both":                  {"m=audio 4000 RTP/AVP 8\r\nm=video 4002 RTP/AVP 96\r\n", true, true, 0},
		"video refused":         {"m=audio 4000 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\n", true, false, 0},
		"video on many ports":   {"m=audio 4000 RTP/AVP 8\r\nm=video 4002/2 RTP/AVP 96\r\n", true, false, 0},
		"video in a name":       {"m=audio 4000 RTP/AVP 8\r\na=x:m=video 4002\r\n", true, false, 0},
		"audio refused":         {"m=audio 0 RTP/AVP 8\r\n", false, false, 488},
		"audio refused, video":  {"m=audio 0 RTP/AVP 8\r\nm=video 4002 RTP/AVP 96\r\n", false, false, 488},
		"one of two is refused": {"m=audio 0 RTP/AVP 8\r\nm=AUDIO 4000 RTP/AVP 8\r\n", true, false, 0},
		"no media":              {"", false, false, 488},
		"no port":               {"m=audio x RTP/AVP 8\r\n", false, false, 400},
	} {
		w := newWorld(t.Fatalf)
		w.change = func(r *signal.Request) { r.Body = []byte(session + c.lines) }
		tx := w.invite(true)
		if p := w.prepares[0]; p.Media != c.audio || p.Video != c.video {
			t.Errorf("%s: ports for audio %t, for video %t", name, p.Media, p.Video)
		}
		if got := w.servers[tx].final; got != c.status {
			t.Errorf("%s: the INVITE got %d, want %d", name, got, c.status)
		}
		w.finish()
	}
}

// A restart of ICE ends here: it is answered with names of ours that are new, which the media is told and later offers of ours keep; the
// other phone hears nothing of it. What was refused has changed no names.
func TestARestartOfICEIsAnsweredHere(t *testing.T) {
	for _, method := range []string{"INVITE", "UPDATE"} {
		w := newWorld(func(format string, args ...any) { t.Helper(); t.Fatalf(format, args...) })
		offer := func(d sdp.Direction) []byte {
			body, _, err := w.fars[1].side.Offer(sdp.Offering{Security: sdp.DTLS, Direction: d, Codecs: sdp.Passed()})
			if err != nil {
				t.Fatal(err)
			}
			return body
		}
		w.change = func(r *signal.Request) { r.Body = offer(sdp.SendRecv) }
		tx := w.invite(true)
		out, _ := w.sentTo(2, "INVITE")
		w.respond(out, 200, nil)
		w.ack(tx, false)
		name := func(body []byte) string {
			d, err := sdp.Parse(body)
			if err != nil {
				t.Fatal(err)
			}
			return d.Audio().Ufrag
		}
		change := func(body []byte, status int) []byte {
			t.Helper()
			w.inDialog(w.fars[1], method, func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", body })
			answer := w.told[len(w.told)-1]
			if answer.Status != status {
				t.Fatalf("%s got %d", method, answer.Status)
			}
			if method == "INVITE" && status == 200 {
				w.ack(signal.TxID(w.lastTx), false)
			}
			w.quiet(2, "INVITE")
			return answer.Body
		}
		first := name(w.reply(1, 200).Body)
		if got := name(change(offer(sdp.SendRecv), 200)); got != first {
			t.Errorf("%s: without a restart our name becomes %s", method, got)
		}
		w.fars[1].side.Local.Audio.Ufrag, w.fars[1].side.Local.Audio.Pwd = "after", "anotherPasswordOfTheirs0"
		restart := offer(sdp.SendRecv)
		change(bytes.ReplaceAll(restart, []byte("m=audio"), []byte("m=image")), 488)
		second := name(change(restart, 200))
		if second == first {
			t.Errorf("%s: after a restart our name is still %s", method, second)
		}
		if agreed := w.call.Leg(1).Session.Side.Agreed.Audio; agreed.LocalUfrag != second || agreed.RemoteUfrag != "after" {
			t.Errorf("%s: the media is told %s and %s", method, agreed.LocalUfrag, agreed.RemoteUfrag)
		}
		if got := name(change(restart, 200)); got != second {
			t.Errorf("%s: the same offer again makes %s of it", method, got)
		}
		w.inDialog(w.fars[2], "INVITE", func(r *signal.Request) { r.ContentType, r.Body = "application/sdp", w.fars[2].offer(sdp.SendOnly) })
		w.ack(signal.TxID(w.lastTx), false)
		_, k := w.sentTo(1, "INVITE")
		if got := name(k.out.Body); got != second {
			t.Errorf("%s: an offer of ours names us %s", method, got)
		}
		w.finish()
	}
}

// A phone that floods its call is told of in its user's timeline; the call goes on.
func TestAFloodIsToldToItsUser(t *testing.T) {
	w := talking(t)
	w.fact(callswitch.Noticed{Leg: 2, Event: telephony.MediaEvent{ID: 2, Kind: telephony.MediaExcess, Text: "too much"}})
	if len(w.notes) != 1 || w.notes[0].AoR != bob || w.notes[0].Cause.Text != "too much" || w.call.State != states.Talking {
		t.Errorf("the call is %v, told is %+v", w.call.State, w.notes)
	}
	w.finish()
}
