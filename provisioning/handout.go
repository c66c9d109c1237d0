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

// Credential returns what a device registers with, or an ErrPending that says why there is nothing yet.
func (s *Service) Credential(ctx context.Context, acc account.ID, id DeviceID) (Handout, error) {
	r, err := s.Store.Secrets(ctx, acc, id)
	if err != nil {
		return Handout{}, err
	}
	d := *r.Device(id)
	c, ok := r.Credential(d.Kind)
	if !ok {
		return Handout{}, &PendingError{Reason: r.pendingText(&d, s.Now())}
	}
	h := Handout{Device: d, User: r.User, Credential: c, CAPEM: s.CAPEM}
	h.Credential.Registrars = inOrder(c.Registrars, d.Kind)
	if h.ETag, err = h.etag(); err != nil {
		return Handout{}, err
	}
	if d.FetchedETag == h.ETag && s.Now().Sub(d.LastSeen) < seenEvery {
		return h, nil
	}
	return h, s.Store.Change(ctx, acc, id, func(r *Record) error {
		d := r.Device(id)
		if d.FetchedETag != h.ETag {
			r.tell(s.Now(), timeline.Fetched, byDevice, string(id), 0, d.Name+" fetched its SIP credential.")
		}
		d.FetchedETag, d.LastSeen = h.ETag, s.Now()
		r.touch(id)
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
