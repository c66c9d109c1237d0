package rtp_test

import (
	"errors"
	"net/netip"
	"slices"
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
			stun.RawAttribute{Type: stun.AttrICEControlled, Value: make([]byte, 8)}, integrity}, true, rtp.Check{Refused: true}, stun.BindingError},
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

// What must be understood and is not is named in the answer, which the password proves, and says nothing of where the phone is.
func TestChecksThatAskForWhatIsUnknown(t *testing.T) {
	now, _ := rtp.NewCredentials()
	lite := &rtp.Lite{Now: now}
	integrity := stun.NewShortTermIntegrity(now.Pwd.Reveal())
	from := netip.MustParseAddrPort("192.0.2.7:4321")
	check := func(integrity stun.Setter, also ...stun.Setter) []byte {
		parts := []stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(now.Ufrag + ":them"), stun.RawAttribute{Type: stun.AttrPriority, Value: make([]byte, 4)}}
		request, err := stun.Build(append(append(parts, also...), integrity, stun.Fingerprint)...)
		if err != nil {
			t.Fatal(err)
		}
		return request.Raw
	}
	nominates := stun.RawAttribute{Type: stun.AttrUseCandidate}
	unknown := []stun.Setter{nominates, stun.RawAttribute{Type: 0x7123, Value: []byte("1234")}, stun.RawAttribute{Type: 0x0042}, stun.RawAttribute{Type: 0x7123}}
	if _, _, ok := lite.Answer(nil, check(stun.NewShortTermIntegrity("guess"), unknown...), from); ok {
		t.Error("who does not know the password is answered")
	}
	if raw, got, ok := lite.Answer(nil, check(integrity, nominates, stun.RawAttribute{Type: 0xC057, Value: make([]byte, 4)}), from); !ok || got != (rtp.Check{Nominates: true}) {
		t.Errorf("what may be left is not left: %x, %+v, %t", raw, got, ok)
	}
	raw, got, ok := lite.Answer(nil, check(integrity, unknown...), from)
	if !ok || got != (rtp.Check{Nominates: true, Refused: true}) {
		t.Fatalf("%+v, %t", got, ok)
	}
	answer := &stun.Message{Raw: raw}
	if err := answer.Decode(); err != nil {
		t.Fatal(err)
	}
	var code stun.ErrorCodeAttribute
	var named stun.UnknownAttributes
	if err := errors.Join(code.GetFrom(answer), named.GetFrom(answer), integrity.Check(answer), stun.Fingerprint.Check(answer)); err != nil {
		t.Fatal(err)
	}
	if answer.Type != stun.BindingError || code.Code != stun.CodeUnknownAttribute || !slices.Equal(named, stun.UnknownAttributes{0x7123, 0x0042}) {
		t.Errorf("%s %d %s", answer, code.Code, named)
	}
	var many []stun.Setter
	for i := range 300 {
		many = append(many, stun.RawAttribute{Type: stun.AttrType(0x4000 + i)})
	}
	if raw, _, ok := lite.Answer(nil, check(integrity, many...), from); !ok || len(raw) > 200 {
		t.Errorf("answered %t, with %d bytes", ok, len(raw))
	}
}
