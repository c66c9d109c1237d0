package provisioning

import (
	"context"
	"errors"
	"strings"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
)

const (
	followEvery  = 200 * time.Millisecond
	followBatch  = 200
	maxObserved  = 10 // observed devices of one user
	retryLongest = 5 * time.Second
)

// Follow applies the registrar's change feed until ctx ends, and returns ctx's error then. Several processes may follow
// at the same time: the cursor lets one of them apply each batch.
func (s *Service) Follow(ctx context.Context, feed RegistrationFeed) error {
	wait := followEvery
	for {
		err := s.CatchUp(ctx, feed)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			s.Log.WarnContext(ctx, "registration changes cannot be applied, trying again", "error", err, "in", wait.String())
			wait = min(wait*2, retryLongest)
		default:
			wait = followEvery
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// CatchUp applies what there is, of all nodes, once.
func (s *Service) CatchUp(ctx context.Context, feed RegistrationFeed) error {
	nodes, err := feed.Nodes(ctx)
	if err != nil {
		return err
	}
	var failures []error // one node's trouble must not stop the others
	for _, node := range nodes {
		failures = append(failures, s.catchUpNode(ctx, feed, node))
	}
	return errors.Join(failures...)
}

func (s *Service) catchUpNode(ctx context.Context, feed RegistrationFeed, node string) error {
	n, err := s.Store.Cursor(ctx, node)
	if err != nil {
		return err
	}
	for {
		changes, err := feed.Since(ctx, node, n, followBatch)
		if err != nil || len(changes) == 0 {
			return err
		}
		err = s.Store.Follow(ctx, node, n, changes, applyChange)
		if errors.Is(err, ErrStale) {
			return nil // another process follows too: look again at the next turn
		}
		if err != nil {
			return err
		}
		n = changes[len(changes)-1].N
	}
}

// applyChange puts one registration change on the record of the user whose AoR it is.
func applyChange(ch telephony.RegistrationChange, r *Record) {
	switch ch.Kind {
	case telephony.BindingRegistered:
		applyRegistered(ch, r)
	case telephony.RegisterRefused:
		applyRefused(ch, r)
	case telephony.PushMalformed, telephony.GuessesSpent, telephony.HandshakeFailed:
		applyWarning(ch, r)
	default:
		applyEnded(ch, r)
	}
}

func applyRegistered(ch telephony.RegistrationChange, r *Record) {
	d := r.find(ch)
	if d == nil {
		d = r.observe(ch)
	}
	d.see(ch)
	d.LastSeen = ch.At
	d.UserAgent, d.Remote, d.Transport = clip(ch.UserAgent, 128), clip(ch.Remote, 80), string(ch.Transport)
	if ch.At.Before(d.DeniedAt) {
		r.touch(d.ID) // the feed comes late: since then the phone has said that this registration is over
		return
	}
	e := Event{Kind: CameOn, At: ch.At}
	r.happen(d, e, byRegistrar, timeline.Registered, d.Name+" registered over "+d.Transport+" from "+d.Remote+".")
}

func applyEnded(ch telephony.RegistrationChange, r *Record) {
	d := r.find(ch)
	if d == nil {
		return // never seen registered: nothing ended
	}
	if !strings.EqualFold(d.Instance, deviceKey(ch)) && d.State == Registered && d.Remote != clip(ch.Remote, 80) {
		return // an older registration of a phone that has changed its instance since
	}
	e := Event{Kind: Lapsed, At: ch.At}
	switch ch.Kind {
	case telephony.BindingUnregistered:
		e.Kind, e.Text = TookBack, "the phone ended its registration"
	case telephony.BindingExpired:
		e.Text = "its registration ran out without being refreshed: the phone is off or without network"
	case telephony.BindingFlowClosed:
		e.Text = first(clip(ch.Text, 400), "its connection closed: the phone was stopped or lost its network")
	case telephony.BindingAsleep:
		e.Text = TextAsleep
	case telephony.BindingUnreachable:
		e.Text = "it no longer answers keep-alives: the phone was stopped or its network changed"
	case telephony.BindingDisplaced:
		e.Text = "newer phones of this user took its place"
	default:
		return // a kind that a newer node writes
	}
	d.see(ch)
	told := d.Name + " is no longer registered: " + e.Text + "."
	if e.Text == TextAsleep {
		told = d.Name + " is " + TextAsleep + "."
	}
	r.happen(d, e, byRegistrar, timeline.Unregistered, told)
}

// applyWarning changes no state: a phone whose push parameters are bad is registered, and whose handshake failed, or who
// guesses, is not known.
func applyWarning(ch telephony.RegistrationChange, r *Record) {
	id, name := "", "A phone"
	if d := r.find(ch); d != nil {
		id, name = string(d.ID), d.Name
	}
	r.tell(ch.At, timeline.Warning, byRegistrar, id, 0, name+": "+clip(ch.Text, 400))
}

// applyRefused: without a device of that instance the refusal is told, and counts for the user's only device when that
// is not registered. It never overrides a registered device of another instance.
func applyRefused(ch telephony.RegistrationChange, r *Record) {
	text := first(clip(ch.Text, 400), failureText(ch.Code, CauseSIP, ""))
	d := r.find(ch)
	if d == nil && len(r.Devices) == 1 && r.Devices[0].State != Registered {
		d = &r.Devices[0]
	}
	if d == nil {
		r.tell(ch.At, timeline.SIPError, byRegistrar, "", ch.Code, "A phone ("+first(clip(ch.UserAgent, 128), "unknown make")+
			", from "+clip(ch.Remote, 80)+") was refused: "+text)
		return
	}
	d.see(ch)
	d.LastSeen = ch.At
	e := Event{Kind: Failed, At: ch.At, Code: ch.Code, Text: text}
	r.happen(d, e, byRegistrar, timeline.SIPError, d.Name+": "+text)
}

// see notes the feed's last word on a device: an older report does not change it any more.
func (d *Device) see(ch telephony.RegistrationChange) {
	d.Seen, d.SeenAt = ch.Kind, ch.At
}

// find returns the device that a change speaks of: by the mark that its document put into the contact, by its instance,
// or for an observed one by its contact.
func (r *Record) find(ch telephony.RegistrationChange) *Device {
	key, marked := deviceKey(ch), markedDevice(ch.Contact)
	for i := range r.Devices {
		if d := &r.Devices[i]; marked != "" && d.ID == marked && d.Origin == OriginDocument {
			return d
		}
	}
	for i := range r.Devices {
		if d := &r.Devices[i]; key != "" && strings.EqualFold(d.Instance, key) {
			return d
		}
	}
	return nil
}

// deviceKey is the instance URN, or the contact's user@host for phones that send none.
func deviceKey(ch telephony.RegistrationChange) string {
	if ch.Instance != "" {
		return clip(ch.Instance, 200)
	}
	contact := strings.Trim(ch.Contact, "<>")
	for _, scheme := range []string{"sips:", "sip:"} {
		if len(contact) > len(scheme) && strings.EqualFold(contact[:len(scheme)], scheme) {
			contact = contact[len(scheme):]
			break
		}
	}
	contact, _, _ = strings.Cut(contact, ";")
	contact, _, _ = strings.Cut(contact, "?")
	return clip(contact, 200)
}

// observe makes a device of a phone that was never enrolled here. The oldest unregistered ones give way.
func (r *Record) observe(ch telephony.RegistrationChange) *Device {
	r.dropObserved()
	d := r.addDevice(Device{
		Account: r.User.Account, ID: DeviceID(account.NewID("dev")), User: r.User.ID,
		Name: first(clip(ch.UserAgent, 60), "Phone"), Kind: cloudlink.Desktop, Origin: OriginObserved,
		Instance: deviceKey(ch), EnrolledAt: ch.At, LastSeen: ch.At,
	}, "")
	return d
}

func (r *Record) dropObserved() {
	n := 0
	var oldest *Device
	for i := range r.Devices {
		d := &r.Devices[i]
		if d.Origin != OriginObserved {
			continue
		}
		n++
		// A registered one goes only when all are: the bound holds whatever phones claim to be.
		if oldest == nil || (oldest.State == Registered) != (d.State == Registered) && d.State != Registered ||
			(oldest.State == Registered) == (d.State == Registered) && d.LastSeen.Before(oldest.LastSeen) {
			oldest = d
		}
	}
	if n >= maxObserved {
		r.dropDevice(oldest.ID)
	}
}
