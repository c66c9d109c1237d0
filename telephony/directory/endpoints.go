package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"demarc/cloudlink"
	"demarc/internal/account"
)

// Endpoints returns the subscriber as a PBX driver hands them on: with a desktop and a mobile endpoint, both for the
// same SIP user, each with its licence.
func (s Subscriber) Endpoints(owner account.ID, pbx cloudlink.PBX) cloudlink.UserWithEndpoints {
	u := cloudlink.UserWithEndpoints{User: cloudlink.User{
		UserID: s.UserID, AccountID: string(owner), Name: s.Name, Email: s.Email, Extension: s.Extension, Role: "user",
	}}
	for _, kind := range []cloudlink.DeviceKind{cloudlink.Desktop, cloudlink.Mobile} {
		licence := cloudlink.LicenceMissing
		if s.licensed(kind) {
			licence = cloudlink.LicenceOK
		}
		u.SIPEndpoints = append(u.SIPEndpoints, cloudlink.SIPEndpoint{
			EndpointID: s.endpointID(kind), UserID: s.UserID, DeviceKind: kind, SIPUsername: s.Extension,
			AuthUsername: s.AuthUsername, Realm: s.Realm, Domain: pbx.Domain, PBXID: pbx.PBXID, Status: "active",
			Licence: licence, ETag: s.etag(pbx),
		})
	}
	return u
}

// Credential returns what a softphone of one endpoint registers with; cloudlink.ErrNotFound when there is no such
// endpoint or no licence for it.
func (s Subscriber) Credential(endpointID string, pbx cloudlink.PBX) (cloudlink.Credential, error) {
	kind, err := s.endpointKind(endpointID)
	if err != nil {
		return cloudlink.Credential{}, err
	}
	if !s.licensed(kind) {
		return cloudlink.Credential{}, fmt.Errorf("%w: extension %s has no %s licence: give it one on the PBX",
			cloudlink.ErrNotFound, s.Extension, kind)
	}
	c := cloudlink.Credential{
		Username: s.AuthUsername, Realm: s.Realm, Registrars: pbx.Registrars, VoicemailNumber: s.Voicemail,
		CallerID: s.CallerID, SRTP: s.SRTP, ETag: s.etag(pbx),
	}
	for _, h := range s.Hashes {
		c.Digests = append(c.Digests, cloudlink.Digest{Algorithm: string(h.Algorithm), HA1: h.HA1.Reveal()})
	}
	return c, nil
}

// CheckEndpoint returns cloudlink.ErrNotFound when the endpoint is not the subscriber's.
func (s Subscriber) CheckEndpoint(endpointID string) error {
	_, err := s.endpointKind(endpointID)
	return err
}

func (s Subscriber) endpointKind(id string) (cloudlink.DeviceKind, error) {
	for _, kind := range []cloudlink.DeviceKind{cloudlink.Desktop, cloudlink.Mobile} {
		if id == s.endpointID(kind) {
			return kind, nil
		}
	}
	return "", fmt.Errorf("%w: endpoint %.64q", cloudlink.ErrNotFound, id)
}

func (s Subscriber) endpointID(kind cloudlink.DeviceKind) string {
	return "ep" + strings.TrimPrefix(s.UserID, "usr") + "_" + string(kind)
}

func (s Subscriber) licensed(kind cloudlink.DeviceKind) bool {
	return kind == cloudlink.Desktop && s.Desktop || kind == cloudlink.Mobile && s.Mobile
}

// etag changes with everything that a credential holds. The hashes enter through Version alone: an etag is no secret.
func (s Subscriber) etag(pbx cloudlink.PBX) string {
	// Encoding strings and numbers cannot fail.
	fields := []any{s.Version, s.Extension, s.AuthUsername, s.Realm, s.Desktop, s.Mobile, s.Voicemail, s.CallerID, pbx}
	if s.SRTP != "" { // else the etags of before there was the field stay true
		fields = append(fields, s.SRTP)
	}
	text, _ := json.Marshal(fields)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
