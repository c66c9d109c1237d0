package e2e_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"demarc/softphone"
)

// hasty phones come back at once: a test does not wait as people can.
var hasty = softphone.Retry{
	Quick: 50 * time.Millisecond, Base: 100 * time.Millisecond, Max: 500 * time.Millisecond,
	Pending: 100 * time.Millisecond, Answer: 10 * time.Second,
}

// enrolmentLink is what the owner gives to a user.
func (s *site) enrolmentLink(extension string) string {
	s.t.Helper()
	var code struct{ Link string }
	s.owner.Call(http.MethodPost, "/v1/users/"+s.ids[extension]+"/enrolment-codes",
		map[string]string{"kind": "desktop"}, &code)
	return code.Link
}

// enrol trades an enrolment link for a profile.
func (s *site) enrol(extension, name string) *softphone.Profile {
	s.t.Helper()
	p, err := softphone.Enrol(s.t.Context(), softphone.Enrolment{Link: s.enrolmentLink(extension), Name: name})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// phone is a softphone of the SDK that runs.
type phone struct {
	t    *testing.T
	stop func() // ends it as its user would, and waits

	mu  sync.Mutex
	all []softphone.Status
}

func newPhone(t *testing.T, profile *softphone.Profile) *phone {
	t.Helper()
	p := &phone{t: t}
	sdk, err := softphone.New(softphone.Config{Profile: profile, Retry: hasty, OnStatus: p.note})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = sdk.Run(ctx) // its status tells how it goes
	}()
	p.stop = func() { cancel(); <-done }
	t.Cleanup(p.stop)
	return p
}

func (p *phone) note(s softphone.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, s)
}

// await waits for a state after a moment and returns the status.
func (p *phone) await(state softphone.State, after time.Time) softphone.Status {
	p.t.Helper()
	return p.awaitThat(string(state), func(s softphone.Status) bool { return s.State == state && s.At.After(after) })
}

// awaitThat returns the first status, past ones included, that is as wished.
func (p *phone) awaitThat(what string, is func(softphone.Status) bool) softphone.Status {
	p.t.Helper()
	var found softphone.Status
	eventually(p.t, "the phone is "+what, func() (bool, any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, s := range p.all {
			if is(s) {
				found = s
				return true, s
			}
		}
		return false, p.all
	})
	return found
}
