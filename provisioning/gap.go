package provisioning

import (
	"time"

	"demarc/cloudlink"
)

// Cause says why a credential is missing; it is stable and machine-readable.
type Cause string

// The causes.
const (
	NeverSynced     Cause = "never_synced"
	UnknownUser     Cause = "unknown_user"
	Ambiguous       Cause = "ambiguous"
	NoEndpoint      Cause = "no_endpoint"
	LicenceMissing  Cause = "licence_missing"
	EndpointOff     Cause = "endpoint_disabled"
	Refused         Cause = "refused"
	UnusableAnswer  Cause = "unusable"
	ExtensionTaken  Cause = "extension_taken"
	UnknownPBX      Cause = "unknown_pbx"
	wholeUser             = cloudlink.DeviceKind("")
	nobodysTurn           = "nobody"
	turnDemarc            = "demarc"
	turnCloudLink         = "the CloudLink admin"
	turnPBX               = "the PBX admin"
	turnDemarcAdmin       = "the admin of this account"
)

// Turn says who can end the wait.
func (c Cause) Turn() string {
	switch c {
	case NeverSynced:
		return turnDemarc
	case UnknownUser, Ambiguous, Refused, UnusableAnswer, UnknownPBX:
		return turnCloudLink
	case NoEndpoint, LicenceMissing, EndpointOff:
		return turnPBX
	case ExtensionTaken:
		return turnDemarcAdmin
	}
	return nobodysTurn
}

// Gap says why one kind of device of a user has no SIP credential, or why a newer one could not be had.
type Gap struct {
	Kind  cloudlink.DeviceKind // empty: the whole user
	Cause Cause
	Text  string // a whole sentence
	Since time.Time
}
