package portal

import (
	"context"
	"io"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/provisioning"
)

// Sessions signs members in and out.
type Sessions interface {
	SignIn(ctx context.Context, link, oldCookie account.Secret) (cookie account.Secret, p access.Principal, err error)
	Authenticate(ctx context.Context, cookie account.Secret) (access.Principal, error)
	Peek(ctx context.Context, cookie account.Secret) (access.Principal, error)
	SignOut(ctx context.Context, p access.Principal) error
}

// Members lists and adds the people of an account.
type Members interface {
	Members(ctx context.Context, id account.ID) ([]account.Member, error)
	AddMember(ctx context.Context, p access.Principal, email, name string, r account.Role) (account.Member, error)
}

// Access is all of internal/access.Service that the pages use.
type Access interface {
	Sessions
	Members
}

// Users is the integration's list of people.
type Users interface {
	AddUser(ctx context.Context, actor account.Member, u provisioning.NewUser) (provisioning.IntegratedUser, error)
	RemoveUser(ctx context.Context, actor account.Member, id provisioning.UserID) error
	Import(ctx context.Context, actor account.Member, r io.Reader, filename string, dryRun bool,
	) (provisioning.ImportReport, error)
	Statuses(ctx context.Context, id account.ID, f provisioning.StatusFilter) (provisioning.StatusPage, error)
	Status(ctx context.Context, id account.ID, user provisioning.UserID) (provisioning.Status, error)
}

// Devices lets an admin put devices on and off, and tells what happened.
type Devices interface {
	IssueCode(ctx context.Context, actor account.Member, user provisioning.UserID, kind cloudlink.DeviceKind,
	) (provisioning.EnrolmentCode, error)
	IssueDocumentLink(ctx context.Context, actor account.Member, user provisioning.UserID, kind cloudlink.DeviceKind,
		app string) (provisioning.DocumentLink, error)
	Revoke(ctx context.Context, actor account.Member, device provisioning.DeviceID) error
	Timeline(ctx context.Context, id account.ID, user provisioning.UserID, limit int) ([]timeline.Entry, error)
	SyncRuns(ctx context.Context, id account.ID, limit int) ([]provisioning.SyncRun, error)
}

// Provisioning is all of provisioning.Service that the pages use.
type Provisioning interface {
	Users
	Devices
}

// Installation is the app in an account and the list of its connectors.
type Installation interface {
	Install(ctx context.Context, actor account.Member) error
	Installed(ctx context.Context, id account.ID) (bool, error)
	Create(ctx context.Context, actor account.Member, name, baseURL string) (connector.Connector, error)
	List(ctx context.Context, id account.ID) ([]connector.Connector, error)
}

// Link is one connector's authorisation.
type Link interface {
	Connector(ctx context.Context, id account.ID, c connector.ID) (connector.Connector, []connector.Grant, error)
	Begin(ctx context.Context, actor account.Member, session string, id connector.ID) (authorizeURL string, err error)
	Complete(ctx context.Context, actor account.Member, session string, cb connector.Callback,
	) (connector.Connector, connector.Grant, error)
	Disconnect(ctx context.Context, actor account.Member, id connector.ID) error
}

// Connectors is all of connector.Service that the pages use.
type Connectors interface {
	Installation
	Link
}

// Syncer runs a sync of one account now, with the sources that its connectors give.
type Syncer interface {
	SyncNow(ctx context.Context, id account.ID, opts ...provisioning.SyncOption) (provisioning.SyncRun, error)
}
