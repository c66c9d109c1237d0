package api

import (
	"context"
	"io"
	"net/netip"
	"time"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/provisioning"
)

// Identity says who a cookie and which account a reference is.
type Identity interface {
	Authenticate(ctx context.Context, cookie account.Secret) (access.Principal, error)
	Account(ctx context.Context, idOrDomain string) (access.Account, error)
}

// Accounts is the operator's side of access.
type Accounts interface {
	Accounts(ctx context.Context) ([]access.Account, error)
	CreateAccount(ctx context.Context, name, domain, ownerEmail string) (access.Account, error)
	IssueSignIn(ctx context.Context, id account.ID, email string) (account.Secret, access.SignInLink, error)
}

// Members lists and adds the people of an account.
type Members interface {
	Members(ctx context.Context, id account.ID) ([]account.Member, error)
	AddMember(ctx context.Context, p access.Principal, email, name string, r account.Role) (account.Member, error)
}

// Access is all of internal/access.Service that the routes use.
type Access interface {
	Identity
	Accounts
	Members
}

// Softphones is what devices themselves ask for.
type Softphones interface {
	Enrol(ctx context.Context, code account.Secret, deviceName string) (provisioning.Enrolment, error)
	Authenticate(ctx context.Context, token account.Secret) (provisioning.Device, error)
	Credential(ctx context.Context, f provisioning.Fetching) (provisioning.Handout, error)
	Report(ctx context.Context, id account.ID, device provisioning.DeviceID, r provisioning.RegistrationReport) error
	Document(ctx context.Context, token account.Secret) (provisioning.Document, error)
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

// Provisioning is all of provisioning.Service that the routes use.
type Provisioning interface {
	Softphones
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
	Disconnect(ctx context.Context, actor account.Member, id connector.ID) error
}

// Connectors is all of connector.Service that the routes use.
type Connectors interface {
	Installation
	Link
}

// Syncer runs a sync of one account now, with the sources that its connectors give.
type Syncer interface {
	SyncNow(ctx context.Context, id account.ID, opts ...provisioning.SyncOption) (provisioning.SyncRun, error)
}

// Guesses bounds tries of one-time codes.
type Guesses interface {
	Take(from netip.Addr) (ok bool, wait time.Duration)
	Refund(from netip.Addr)
}
