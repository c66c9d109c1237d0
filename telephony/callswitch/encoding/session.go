package encoding

import (
	"demarc/telephony/callswitch"
	"demarc/telephony/callswitch/states"
	"demarc/telephony/sdp"
)

func codeSession(c *coder, v *callswitch.Session) {
	integer(c, &v.Media)
	integer(c, &v.State)
	text(c, &v.Terms.Policy)
	flag(c, &v.Terms.Secure)
	flag(c, &v.Terms.Browser)
	text(c, &v.Terms.Setting)
	codeLocal(c, &v.Side.Local)
	integer(c, &v.Side.Session)
	text(c, &v.Side.Last)
	if agreed := v.Side.Agreed.Stands(); also(c, &agreed) {
		codeAgreed(c, &v.Side.Agreed)
	}
	text(c, &v.Wrote[0])
	text(c, &v.Wrote[1])
	if c.reading {
		v.Side.Theirs, v.Offer = described(c, v.Wrote[0]), described(c, v.Wrote[1])
	}
	flag(c, &v.Holds)
	flag(c, &v.Borrows)
	flag(c, &v.Deaf)
	flag(c, &v.Early)
	integer(c, &v.Hears.Kind)
	integer(c, &v.Hears.With)
	codeAim(c, &v.Aim)
	codeAim(c, &v.Was)
	text(c, &v.Refused)
	text(c, &v.Security)
	if c.reading && v.State > states.ReofferReceived {
		c.fail("the state of offer and answer")
	}
}

func codeAim(c *coder, v *callswitch.Aim) {
	text(c, &v.Direction)
	text(c, &v.Codec)
	flag(c, &v.Music)
}

func described(c *coder, body []byte) *sdp.Description {
	if len(body) == 0 {
		return nil
	}
	d, err := sdp.Parse(body)
	if err != nil {
		c.fail(err.Error())
	}
	return d
}

func codeLocal(c *coder, v *sdp.Local) {
	addr(c, &v.Addr)
	codeLine(c, &v.Audio)
	codeLine(c, &v.Video)
	codeFingerprint(c, &v.Fingerprint)
	if c.since(2) {
		text(c, &v.Seed)
		return
	}
	text(c, &v.Audio.Ufrag)
	text(c, &v.Audio.Pwd)
	v.Video.Ufrag, v.Video.Pwd = v.Audio.Ufrag, v.Audio.Pwd
}

func codeLine(c *coder, v *sdp.Line) {
	integer(c, &v.RTP)
	integer(c, &v.RTCP)
	list(c, &v.Keys, codeKey)
	if c.since(2) {
		text(c, &v.Ufrag)
		text(c, &v.Pwd)
	}
}

func codeKey(c *coder, v *sdp.Key) {
	integer(c, &v.Tag)
	text(c, &v.Suite)
	text(c, &v.Key)
}

func codeFingerprint(c *coder, v *sdp.Fingerprint) {
	text(c, &v.Hash)
	text(c, &v.Value)
}

func codeAgreed(c *coder, v *sdp.Agreed) {
	text(c, &v.Security)
	codeStream(c, &v.Audio)
	codeStream(c, &v.Video)
	addr(c, &v.Signalled)
}

func codeStream(c *coder, v *sdp.Stream) {
	addrPort(c, &v.Remote)
	addrPort(c, &v.RemoteRTCP)
	flag(c, &v.Mux)
	text(c, &v.Direction)
	text(c, &v.Codec.Name)
	integer(c, &v.Codec.Payload)
	integer(c, &v.Codec.Rate)
	integer(c, &v.Codec.Channels)
	text(c, &v.Codec.Params)
	list(c, &v.Codec.Feedback, text[string])
	integer(c, &v.Send)
	integer(c, &v.Receive)
	integer(c, &v.DTMFSend)
	integer(c, &v.DTMFRecv)
	integer(c, &v.Ptime)
	codeKey(c, &v.LocalKey)
	codeKey(c, &v.RemoteKey)
	list(c, &v.Fingerprints, codeFingerprint)
	flag(c, &v.Active)
	if c.since(2) {
		text(c, &v.LocalUfrag)
		text(c, &v.LocalPwd)
	}
	text(c, &v.RemoteUfrag)
	text(c, &v.RemotePwd)
}
