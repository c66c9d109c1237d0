package cloudlink

import "errors"

// Errors that a PBX driver answers with. Detail is wrapped around them.
var (
	ErrNotFound = errors.New("no such user or endpoint on the PBX")
	ErrReadOnly = errors.New("this PBX can only be read: change the credential on the PBX itself, then sync")
)

// UserWithEndpoints is a user with their SIP endpoints: what a list with $expand=sipendpoints holds, and what a PBX
// driver answers with.
type UserWithEndpoints struct {
	User
	SIPEndpoints []SIPEndpoint `json:"sipEndpoints,omitempty"`
}
