package softphone

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"time"
)

// set makes a status the current one and tells the caller.
func (p *Phone) set(s Status) {
	s.At = time.Now()
	p.mu.Lock()
	p.status = s
	p.mu.Unlock()
	if p.cfg.OnStatus != nil {
		p.cfg.OnStatus(s)
	}
}

// registered shows and reports that the registration stands.
func (p *Phone) registered(s *session) {
	status := s.status(Registered, nil)
	status.Text = "registered"
	status.Expires = s.until
	p.set(status)
	p.reports.put(report{
		Outcome: reportRegistered, Expires: int(s.granted / time.Second), Code: 200, Text: "OK", Registrar: s.addr.String(),
	})
}

// fail shows and reports that no address worked.
func (p *Phone) fail(f *Failure, wait time.Duration) {
	p.set(Status{
		State: Failed, Cause: f.Cause, Code: f.Code, Text: f.Text, Registrar: f.Registrar, Retry: time.Now().Add(wait),
	})
	// The server adds what to do by itself: it gets the peer's words rather than our advice.
	p.reports.put(report{
		Outcome: reportFailed, Code: f.Code, Text: cmp.Or(f.said, f.Text), Cause: f.Cause, Registrar: f.Registrar,
	})
}

func (s *session) status(state State, f *Failure) Status {
	status := Status{State: state, Registrar: s.addr.String(), Transport: s.addr.Transport, Route: s.addr.Role}
	if f != nil {
		status.Cause, status.Code, status.Text = f.Cause, f.Code, f.Text
	}
	return status
}

// token returns n random bytes in hex, for identifiers that must differ and need not be guessed at.
func token(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b)
}
