package gateway

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/exchange"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

// staff is a directory of one user, whose phone is registered.
type staff struct {
	mu      sync.Mutex
	version int64
	answer  error
}

func (s *staff) say(answer error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
	s.version++
}

var lea = telephony.NewAoR("lea", "example.com")

func (s *staff) Domains(context.Context) (map[string]authentication.Domain, error) {
	return map[string]authentication.Domain{lea.Domain: {Account: "acc_1", Realm: lea.Domain}}, nil
}

func (s *staff) Subscriber(_ context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return authentication.Subscriber{Account: "acc_1", AoR: aor}, s.answer
}

func (s *staff) Version(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version, nil
}

func (s *staff) Load(context.Context, string) ([]registration.Binding, error) {
	return []registration.Binding{{
		Account: "acc_1", Node: "n", AoR: lea, Key: "uri:sip:lea@192.0.2.1", Contact: "sip:lea@192.0.2.1", CallID: "1", Reachable: true,
		Flow:        telephony.Flow{Listener: "udp", Transport: telephony.UDP, Remote: netip.MustParseAddrPort("192.0.2.1:5060")},
		RefreshedAt: time.Now(), Expires: time.Now().Add(time.Hour),
	}}, nil
}

func (s *staff) Save(context.Context, registrar.Batch) error { return nil }

// The phones of a user who has left ring no more, although they are registered for a while yet. Nobody has left because the directory
// does not answer.
func TestPhonesOfWhoHasLeft(t *testing.T) {
	s := &staff{}
	r := registrar.New(registrar.Config{Node: "n", Directory: s, Bindings: s, Tick: 5 * time.Millisecond})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop(context.Background()) })
	c := contacts{&Gateway{telephony: telephonyRole{registrar: r}}}
	expect := func(what string, targets int, want error) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			found, err := c.Targets(t.Context(), "acc_1", lea)
			if len(found) == targets && errors.Is(err, want) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%s: %d phones, %v", what, len(found), err)
			}
		}
	}
	expect("there", 1, nil)
	s.say(authentication.ErrUnknown)
	expect("left", 0, exchange.ErrUnknown)
	s.say(errors.New("hard to say"))
	expect("nobody can tell", 1, nil)
	if _, err := c.Targets(t.Context(), "acc_2", lea); err != nil {
		t.Errorf("of another account, while nobody can tell: %v", err)
	}
	s.say(nil)
	expect("there again", 1, nil)
	if found, err := c.Targets(t.Context(), "acc_2", lea); len(found) != 0 || !errors.Is(err, exchange.ErrUnknown) {
		t.Errorf("of another account: %d phones, %v", len(found), err)
	}
}
