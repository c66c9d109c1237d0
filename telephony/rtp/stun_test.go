package rtp_test

import (
	"net/netip"
	"testing"

	"github.com/pion/stun/v4"

	"demarc/telephony/rtp"
)

func TestChecksAreAnswered(t *testing.T) {
	now, _ := rtp.NewCredentials()
	former, _ := rtp.NewCredentials()
	lite := &rtp.Lite{Now: now, Former: former}
	ufrag := now.Ufrag
	integrity, once := stun.NewShortTermIntegrity(now.Pwd.Reveal()), stun.NewShortTermIntegrity(former.Pwd.Reveal())
	from := netip.MustParseAddrPort("[2001:db8::7]:4321")
	for _, c := range []struct {
		name     string
		setters  []stun.Setter
		answered bool
		want     rtp.Check
		kind     stun.MessageType
	}{
		{"as it should be", []stun.Setter{stun.BindingRequest, stun.NewUsername(ufrag + ":them"), integrity, stun.Fingerprint}, true,
			rtp.Check{}, stun.BindingSuccess},
		{"nominating", []stun.Setter{stun.BindingRequest, stun.NewUsername(ufrag + ":them"), stun.RawAttribute{Type: stun.AttrUseCandidate}, integrity},
			true, rtp.Check{Nominates: true}, stun.BindingSuccess},
		{"both lead", []stun.Setter{stun.BindingRequest, stun.NewUsername(ufrag + ":them"),
			stun.RawAttribute{Type: stun.AttrICEControlled, Value: make([]byte, 8)}, integrity}, true, rtp.Check{Conflict: true}, stun.BindingError},
		{"by the former name", []stun.Setter{stun.BindingRequest, stun.NewUsername(former.Ufrag + ":them"),
			stun.RawAttribute{Type: stun.AttrUseCandidate}, once}, true, rtp.Check{Nominates: true, Former: true}, stun.BindingSuccess},
		{"by the former name and the password of now", []stun.Setter{stun.BindingRequest, stun.NewUsername(former.Ufrag + ":them"), integrity}, false,
			rtp.Check{}, stun.MessageType{}},
		{"no name", []stun.Setter{stun.BindingRequest, stun.NewUsername(":them"), integrity}, false, rtp.Check{}, stun.MessageType{}},
		{"another name", []stun.Setter{stun.BindingRequest, stun.NewUsername("else:them"), integrity}, false, rtp.Check{}, stun.MessageType{}},
		{"no colon", []stun.Setter{stun.BindingRequest, stun.NewUsername(ufrag), integrity}, false, rtp.Check{}, stun.MessageType{}},
		{"another password", []stun.Setter{stun.BindingRequest, stun.NewUsername(ufrag + ":them"), stun.NewShortTermIntegrity("guess")}, false,
			rtp.Check{}, stun.MessageType{}},
		{"no password", []stun.Setter{stun.BindingRequest, stun.NewUsername(ufrag + ":them")}, false, rtp.Check{}, stun.MessageType{}},
		{"nominating behind the integrity", []stun.Setter{stun.BindingRequest, stun.NewUsername(ufrag + ":them"), integrity,
			stun.RawAttribute{Type: stun.AttrUseCandidate}}, true, rtp.Check{}, stun.BindingSuccess},
		{"an indication", []stun.Setter{stun.NewType(stun.MethodBinding, stun.ClassIndication), stun.NewUsername(ufrag + ":them"), integrity}, false,
			rtp.Check{}, stun.MessageType{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			request, err := stun.Build(append([]stun.Setter{stun.TransactionID}, c.setters...)...)
			if err != nil {
				t.Fatal(err)
			}
			raw, check, ok := lite.Answer([]byte("before"), request.Raw, from)
			if ok != c.answered || check != c.want {
				t.Fatalf("answered %t, %+v", ok, check)
			}
			if !ok {
				return
			}
			answer := &stun.Message{Raw: raw[len("before"):]}
			if err := answer.Decode(); err != nil {
				t.Fatal(err)
			}
			if answer.Type != c.kind || answer.TransactionID != request.TransactionID {
				t.Errorf("answer %s", answer)
			}
			by := integrity
			if check.Former {
				by = once
			}
			if err := by.Check(answer); err != nil {
				t.Errorf("integrity: %v", err)
			}
			if err := stun.Fingerprint.Check(answer); err != nil {
				t.Errorf("fingerprint: %v", err)
			}
			var mapped stun.XORMappedAddress
			if c.kind == stun.BindingSuccess {
				if err := mapped.GetFrom(answer); err != nil || mapped.String() != from.String() {
					t.Errorf("mapped %s, %v", mapped, err)
				}
			}
			for n := range len(request.Raw) {
				if _, _, ok := lite.Answer(nil, request.Raw[:n], from); ok {
					t.Errorf("answered although cut at %d of %d", n, len(request.Raw))
				}
			}
		})
	}
}
