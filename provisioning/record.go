package provisioning

import (
	"slices"
	"time"

	"demarc/cloudlink"
	"demarc/internal/timeline"
)

// The actors of entries that no member caused.
const (
	bySync      = "sync"
	byRegistrar = "registrar"
	byDevice    = "device"
)

// Record is everything known of one integrated user. Rules change it in memory; the store loads it, runs the rule and
// writes the changes in one transaction.
type Record struct {
	User        IntegratedUser
	State       SyncState // by the ranking; Settle keeps it true
	ChangedAt   time.Time
	Credentials []Credential // hashes are there only when the store was asked for them
	Gaps        []Gap
	Devices     []Device

	changes Changes
}

// Changes is what a rule did to a record, for the store to write.
type Changes struct {
	Credentials []Credential           // new or changed
	Lost        []cloudlink.DeviceKind // credentials to delete
	Gaps        bool                   // write all of Record.Gaps
	Devices     []DeviceID             // new or changed, still in Record.Devices
	Dropped     []DeviceID
	Tokens      map[DeviceID]string // hashes of tokens of new devices
	Entries     []timeline.Entry
}

// Changes returns what was done.
func (r *Record) Changes() Changes { return r.changes }

// Credential returns the credential for a kind of device.
func (r *Record) Credential(kind cloudlink.DeviceKind) (Credential, bool) {
	i := slices.IndexFunc(r.Credentials, func(c Credential) bool { return c.Kind == kind })
	if i < 0 {
		return Credential{}, false
	}
	return r.Credentials[i], true
}

// Device returns a device for changing, or nil.
func (r *Record) Device(id DeviceID) *Device {
	i := slices.IndexFunc(r.Devices, func(d Device) bool { return d.ID == id })
	if i < 0 {
		return nil
	}
	return &r.Devices[i]
}

// Gap returns why there is no credential for a kind: the reason of the whole user, or of the kind.
func (r *Record) Gap(kind cloudlink.DeviceKind) (Gap, bool) {
	for _, g := range r.Gaps {
		if g.Kind == wholeUser || g.Kind == kind {
			return g, true
		}
	}
	return Gap{}, false
}

// tell adds a timeline entry.
func (r *Record) tell(at time.Time, kind timeline.Kind, actor, device string, code int, text string) {
	r.changes.Entries = append(r.changes.Entries, timeline.Entry{
		Account: r.User.Account, User: string(r.User.ID), At: at, Kind: kind, Device: device, Code: code, Text: text,
		Actor: actor,
	})
}

// touch marks a device as changed.
func (r *Record) touch(id DeviceID) {
	if !slices.Contains(r.changes.Devices, id) {
		r.changes.Devices = append(r.changes.Devices, id)
	}
}

// happen applies an event to a device; with a visible difference it is told in the timeline.
func (r *Record) happen(d *Device, e Event, actor string, kind timeline.Kind, text string) bool {
	changed := d.Happen(e)
	r.touch(d.ID)
	if changed {
		r.tell(e.At, kind, actor, string(d.ID), e.Code, text)
	}
	return changed
}

// addDevice puts a new device on the record; it starts as what its credential allows.
func (r *Record) addDevice(d Device, tokenHash string) *Device {
	d.State, d.ChangedAt = Pending, d.EnrolledAt
	if _, ok := r.Credential(d.Kind); ok {
		d.State = Inactive
	}
	r.Devices = append(r.Devices, d)
	r.touch(d.ID)
	if tokenHash != "" {
		if r.changes.Tokens == nil {
			r.changes.Tokens = map[DeviceID]string{}
		}
		r.changes.Tokens[d.ID] = tokenHash
	}
	return &r.Devices[len(r.Devices)-1]
}

func (r *Record) dropDevice(id DeviceID) {
	r.Devices = slices.DeleteFunc(r.Devices, func(d Device) bool { return d.ID == id })
	isIt := func(other DeviceID) bool { return other == id }
	r.changes.Devices = slices.DeleteFunc(r.changes.Devices, isIt)
	r.changes.Dropped = append(r.changes.Dropped, id)
}

// setCredential stores a credential that arrived. When nothing but the source's etag differs, phones need not fetch it
// again and nothing is told.
func (r *Record) setCredential(c Credential, at time.Time) bool {
	i := slices.IndexFunc(r.Credentials, func(old Credential) bool { return old.Kind == c.Kind })
	c.Account, c.User, c.SyncedAt = r.User.Account, r.User.ID, at
	news := i < 0 || !r.Credentials[i].same(c)
	renamed := i >= 0 && r.Credentials[i].aor() != c.aor()
	switch {
	case i < 0:
		r.Credentials = append(r.Credentials, c)
	case news:
		r.Credentials[i] = c
	default:
		c.ETag = r.Credentials[i].ETag
		r.Credentials[i] = c
	}
	r.changes.Credentials = append(r.changes.Credentials, c)
	if !news {
		return false
	}
	text := "A SIP credential for the " + string(c.Kind) + " arrived: " + c.describe()
	if i >= 0 {
		text = "The SIP credential for the " + string(c.Kind) + " changed at the PBX: " + c.describe() +
			" Phones must fetch it again."
	}
	r.tell(at, timeline.CredentialSynced, bySync, "", 0, text)
	if renamed { // what the registrar says of the old AoR finds nobody any more: its end would not be heard
		r.eachOfKind(c.Kind, Event{Kind: Lapsed, At: at, Text: "at the PBX it is " + c.aor() +
			" now, and the phone has not registered as that yet"})
	}
	r.eachOfKind(c.Kind, Event{Kind: CredentialArrived, At: at})
	return true
}

// lose takes a credential away.
func (r *Record) lose(kind cloudlink.DeviceKind, why string, at time.Time) {
	r.Credentials = slices.DeleteFunc(r.Credentials, func(c Credential) bool { return c.Kind == kind })
	r.changes.Lost = append(r.changes.Lost, kind)
	r.tell(at, timeline.CredentialLost, bySync, "", 0, "The SIP credential for the "+string(kind)+" was withdrawn. "+why)
	r.eachOfKind(kind, Event{Kind: CredentialLost, At: at, Text: why})
}

func (r *Record) eachOfKind(kind cloudlink.DeviceKind, e Event) {
	for i := range r.Devices {
		if r.Devices[i].Kind == kind && r.Devices[i].Happen(e) {
			r.touch(r.Devices[i].ID)
		}
	}
}

// setGaps replaces the reasons why credentials are missing. A reason that was there before keeps its beginning, and
// only a new one is told.
func (r *Record) setGaps(gaps []Gap, at time.Time) {
	for i, g := range gaps {
		old := slices.IndexFunc(r.Gaps, func(o Gap) bool { return o.Kind == g.Kind && o.Cause == g.Cause })
		if old >= 0 {
			gaps[i].Since = r.Gaps[old].Since
			continue
		}
		gaps[i].Since = at
		if g.Cause != NeverSynced {
			r.tell(at, timeline.SyncFailed, bySync, "", 0, g.Text+" Now it is the turn of "+g.Cause.Turn()+".")
		}
	}
	if !slices.Equal(r.Gaps, gaps) {
		r.Gaps, r.changes.Gaps = gaps, true
	}
}

// Settle derives what follows from the parts: the user's state by the ranking, when it changed, and the pending reason.
// The store calls it before it writes.
func (r *Record) Settle() {
	r.User.PendingReason, r.User.PendingSince = "", time.Time{}
	if len(r.Credentials) == 0 && len(r.Gaps) > 0 {
		g := r.Gaps[0]
		r.User.PendingReason, r.User.PendingSince = g.Text+" It is the turn of "+g.Cause.Turn()+".", g.Since
	}
	if d := r.decider(); d != nil {
		r.State, r.ChangedAt = d.State, d.ChangedAt
		return
	}
	r.State, r.ChangedAt = Pending, r.User.PendingSince
	for _, c := range r.Credentials {
		if r.State == Pending || c.SyncedAt.Before(r.ChangedAt) {
			r.State, r.ChangedAt = Inactive, c.SyncedAt
		}
	}
}

// decider is the device with the highest-ranking state, of several the one that changed last; nil without devices.
func (r *Record) decider() *Device {
	var best *Device
	for i := range r.Devices {
		d := &r.Devices[i]
		if best == nil || d.State.rank() > best.State.rank() ||
			d.State == best.State && d.ChangedAt.After(best.ChangedAt) {
			best = d
		}
	}
	return best
}
