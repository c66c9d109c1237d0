package provisioning

import (
	"context"
	"fmt"
	"time"

	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
)

// Outcome is how a softphone's registration went, by its own word.
type Outcome string

// The outcomes.
const (
	ReportRegistered Outcome = "registered" // accepted or refreshed: good for RegistrationReport.Expires
	ReportFailed     Outcome = "failed"     // refused, or no answer
	ReportStopped    Outcome = "stopped"    // ended on purpose
)

// RegistrationReport is what a softphone says of its own registration, for PBXs whose registrar does not tell us.
type RegistrationReport struct {
	Outcome   Outcome
	Expires   time.Duration // how long the registration is good for; 0: as long as its credential asks for
	Age       time.Duration // how long ago it happened: a report may have waited for the network
	Code      int           // SIP status, 0 when there was no answer
	Text      string        // reason phrase, Warning text, or what failed below SIP
	Cause     string        // sip, tls_untrusted, tls_expired, tls_name, timeout, refused, dns
	Registrar string        // host:port tried
}

const (
	longestReported = 30 * 24 * time.Hour // a registration said to be good for longer is asked for again after this
	usualReported   = time.Hour           // when neither report nor credential says (RFC 3261 §10.2.1.1)
	lapseBatch      = 100
)

// Report takes what a softphone says of its own registration.
func (s *Service) Report(ctx context.Context, acc account.ID, id DeviceID, rep RegistrationReport) error {
	if err := rep.check(); err != nil {
		return err
	}
	return s.Store.Change(ctx, acc, id, func(r *Record) error {
		r.report(r.Device(id), rep, s.Now())
		return nil
	})
}

func (rep RegistrationReport) check() error {
	switch {
	case rep.Code != 0 && (rep.Code < 100 || rep.Code > 699):
		return fmt.Errorf("%w: a SIP status code is between 100 and 699, or 0 when there was no answer", ErrInvalid)
	case rep.Outcome != ReportRegistered && rep.Outcome != ReportFailed && rep.Outcome != ReportStopped:
		return fmt.Errorf("%w: the outcome of a report is registered, failed or stopped", ErrInvalid)
	case rep.Expires < 0 || rep.Age < 0:
		return fmt.Errorf("%w: expires and age of a report are not negative", ErrInvalid)
	}
	return nil
}

// report applies a report by one rule: the later word counts. A report of a moment before the feed's last word changes
// nothing, nor does one that repeats the code with which the registrar refused the device. A registration that the feed knows ends when the feed says so; one known by the report alone ends
// with its time.
func (r *Record) report(d *Device, rep RegistrationReport, now time.Time) {
	d.LastSeen = now
	r.touch(d.ID)
	at := now.Add(-rep.Age) // the clock is ours: a phone's may be wrong
	if at.Before(d.SeenAt) || rep.repeats(d) {
		return
	}
	e, kind, text := rep.event(d, at)
	if rep.Outcome == ReportRegistered && d.Seen != telephony.BindingRegistered {
		if e.Until = at.Add(r.goodFor(d, rep)); !now.Before(e.Until) {
			return // it ran out on its way here
		}
	}
	d.DeniedAt = time.Time{}
	if rep.Outcome != ReportRegistered {
		d.DeniedAt = at
	}
	r.happen(d, e, byDevice, kind, text)
}

// repeats reports whether the registrar has refused the device with this code itself, in words meant for support.
func (rep RegistrationReport) repeats(d *Device) bool {
	return rep.Outcome == ReportFailed && d.Seen == telephony.RegisterRefused && d.State == SIPError &&
		rep.Code != 0 && rep.Code == d.SIPCode
}

func (r *Record) goodFor(d *Device, rep RegistrationReport) time.Duration {
	expires := rep.Expires
	if c, ok := r.Credential(d.Kind); ok && expires == 0 {
		expires = time.Duration(c.RegisterExpires) * time.Second
	}
	if expires == 0 {
		expires = usualReported
	}
	return min(expires, longestReported)
}

// event turns a report into an event, with its timeline entry.
func (rep RegistrationReport) event(d *Device, at time.Time) (Event, timeline.Kind, string) {
	where := ""
	if rep.Registrar != "" {
		where = " at " + clip(rep.Registrar, 120)
	}
	switch rep.Outcome {
	case ReportRegistered:
		return Event{Kind: CameOn, At: at}, timeline.Registered, d.Name + " registered" + where + "."
	case ReportStopped:
		return Event{Kind: TookBack, At: at, Text: "the softphone was stopped"}, timeline.Unregistered,
			d.Name + " was stopped and ended its registration."
	}
	text := failureText(rep.Code, rep.Cause, clip(rep.Text, 200))
	return Event{Kind: Failed, At: at, Code: rep.Code, Text: text}, timeline.SIPError, d.Name + where + ": " + text
}

// LapseDue ends the registrations that are known by reports alone and whose time is over: the phone crashed, or lost
// its network. The gateway calls it on a ticker; several processes may, each registration ends once.
func (s *Service) LapseDue(ctx context.Context) error {
	for {
		now := s.Now()
		n, err := s.Store.Lapse(ctx, now, lapseBatch, func(r *Record) { r.lapse(now) })
		if err != nil || n < lapseBatch {
			return err
		}
	}
}

func (r *Record) lapse(now time.Time) {
	for i := range r.Devices {
		d := &r.Devices[i]
		if d.ReportedUntil.IsZero() || now.Before(d.ReportedUntil) {
			continue
		}
		text := "its registration was last confirmed at " + d.LastRegistered.UTC().Format("2006-01-02 15:04:05 UTC") +
			" and ran out: the phone is off, crashed or without network"
		r.happen(d, Event{Kind: Lapsed, At: d.ReportedUntil, Text: text}, byDevice, timeline.Unregistered,
			d.Name+" is no longer registered: "+text+".")
	}
}
