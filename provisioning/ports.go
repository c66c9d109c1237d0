package provisioning

import (
	"context"

	"demarc/cloudlink"
	"demarc/telephony"
)

// Source is one connector's service as the sync sees it. A refusal of the service is a *cloudlink.Error.
type Source interface {
	PBXs(ctx context.Context) ([]cloudlink.PBX, error)
	// Users returns one page; next is "" for the first page and on the last one.
	Users(ctx context.Context, next string) (users []cloudlink.UserWithEndpoints, nextPage string, err error)
	Credential(ctx context.Context, userID, endpointID string) (cloudlink.Credential, error)
}

// RegistrationFeed is the registrar's change feed. The rows of one node are numbered without gaps from 1.
type RegistrationFeed interface {
	Nodes(ctx context.Context) ([]string, error)
	Since(ctx context.Context, node string, n int64, limit int) ([]telephony.RegistrationChange, error)
}
