package server

import (
	"context"

	"demarc/cloudlink"
)

// PBX is the phone system of one account. A driver answers ErrNotFound and ErrReadOnly of package cloudlink.
type PBX interface {
	// PBX describes the phone system itself.
	PBX(ctx context.Context) (cloudlink.PBX, error)
	// Users returns up to limit users in a stable order of userId, beginning behind after; fewer only at the end.
	Users(ctx context.Context, after string, limit int) ([]cloudlink.UserWithEndpoints, error)
	User(ctx context.Context, userID string) (cloudlink.UserWithEndpoints, error)
	Credential(ctx context.Context, userID, endpointID string) (cloudlink.Credential, error)
	// Rotate gives the endpoint a new random password.
	Rotate(ctx context.Context, userID, endpointID string) error
}
