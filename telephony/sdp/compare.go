package sdp

import "slices"

// Change says what a new offer of the phone changes. Nothing: a refresh of the session.
type Change struct {
	Direction bool // hold, resume, …: concerns the other side
	Codec     bool // the agreed codec is offered no longer: concerns the other side
	Video     bool // video came or went: concerns the other side
	Address   bool
	Security  bool // profile, keys or certificate
	Restart   bool // of ICE (RFC 8839 §4.4.1.1.1)
}

// Compare says what the phone's new offer changes: before is its description in the last completed offer and answer,
// agreed what that settled.
func Compare(agreed Agreed, before, now *Description) Change {
	old, fresh := before.Audio(), now.Audio()
	if old == nil || fresh == nil {
		return Change{Direction: old != fresh, Codec: old != fresh}
	}
	return Change{
		Direction: old.Direction != fresh.Direction,
		Codec:     !fresh.Offers(agreed.Audio.Codec),
		Video:     (before.Video() == nil) != (now.Video() == nil),
		Address:   old.Remote != fresh.Remote || old.RTCP != fresh.RTCP,
		Security:  secured(old, fresh),
		Restart:   old.Ufrag != fresh.Ufrag || !old.Pwd.Equal(fresh.Pwd),
	}
}

// secured reports whether what protects a line has changed: an offer holds more keys than the answer before it, so that
// one that is still there counts as the same.
func secured(old, fresh *Media) bool {
	if profile(old.Profile) != profile(fresh.Profile) || !slices.Equal(old.Fingerprints, fresh.Fingerprints) {
		return true
	}
	if len(old.Keys) == 0 || len(fresh.Keys) == 0 {
		return len(old.Keys) != len(fresh.Keys)
	}
	return !slices.ContainsFunc(old.Keys, func(k Key) bool {
		return slices.ContainsFunc(fresh.Keys, func(f Key) bool { return f.Suite == k.Suite && f.Key.Equal(k.Key) })
	})
}
