package provisioning

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/timeline"
)

// seenEvery is how often a device that only asks is written as seen.
const seenEvery = 5 * time.Minute

// Fetching is a device that asks for what it registers with.
type Fetching struct {
	Token account.Secret
	May   func(Device) error     // asked before anything is told
	Known func(etag string) bool // reports whether the device has it already: then the hashes stay sealed
}

// Credential returns what a device registers with, ErrNotFound for a token that nobody has, or a PendingError that says why
// there is nothing yet. Without the hashes when the device knows the rest.
func (s *Service) Credential(ctx context.Context, f Fetching) (Handout, error) {
	var h Handout
	held, err := s.Store.Held(ctx, f.Token.Hash(), func(held Held) (open bool, err error) {
		if err := f.May(held.Device); err != nil || held.Credential == nil {
			return false, err
		}
		h = Handout{Device: held.Device, User: held.User, Credential: *held.Credential, CAPEM: s.CAPEM}
		h.Credential.Registrars = inOrder(h.Credential.Registrars, h.Device.Kind)
		h.ETag, err = h.etag()
		return err == nil && !f.Known(h.ETag), err
	})
	switch {
	case err != nil:
		return Handout{}, err
	case held.Credential == nil:
		return Handout{}, s.pending(ctx, held.Device)
	}
	h.Credential.Hashes = held.Credential.Hashes
	return h, s.noteFetched(ctx, h)
}

// pending says why there is no credential.
func (s *Service) pending(ctx context.Context, d Device) error {
	r, err := s.Store.Record(ctx, d.Account, d.User)
	if err != nil {
		return err
	}
	return &PendingError{Reason: r.pendingText(&d, s.Now())}
}

func (s *Service) noteFetched(ctx context.Context, h Handout) error {
	d := h.Device
	if d.FetchedETag == h.ETag && s.Now().Sub(d.LastSeen) < seenEvery {
		return nil
	}
	return s.Store.Change(ctx, d.Account, d.ID, func(r *Record) error {
		d := r.Device(h.Device.ID)
		if d.FetchedETag != h.ETag {
			r.tell(s.Now(), timeline.Fetched, byDevice, string(d.ID), 0, d.Name+" fetched its SIP credential.")
		}
		d.FetchedETag, d.LastSeen = h.ETag, s.Now()
		r.touch(d.ID)
		return nil
	})
}

// etag covers everything that is handed out. The secret itself is not hashed into it, because an ETag ends in logs: the
// credential's own mark is new whenever the secret is.
func (h Handout) etag() (string, error) {
	c := h.Credential
	text, err := json.Marshal([]any{
		h.Device.ID, h.Device.Instance, h.Device.Kind, h.User.Name, h.User.Extension, c.ETag, c.Registrars, string(h.CAPEM),
	})
	if err != nil {
		return "", fmt.Errorf("handout: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// inOrder puts the registrars in the order in which a kind of device tries them: a mobile never goes inside, a desktop
// goes outside first too, and to the PBX itself after that; only the SDK may know that it is on site.
func inOrder(list []cloudlink.Registrar, kind cloudlink.DeviceKind) []cloudlink.Registrar {
	var ordered []cloudlink.Registrar
	for _, role := range []cloudlink.RegistrarRole{cloudlink.RoleSBC, cloudlink.RoleBackup, cloudlink.RoleInternal} {
		if role == cloudlink.RoleInternal && kind == cloudlink.Mobile {
			break
		}
		for _, r := range list {
			if r.Role == role {
				ordered = append(ordered, r)
			}
		}
	}
	if len(ordered) == 0 { // roles that we do not know: better than nothing
		return list
	}
	return ordered
}
