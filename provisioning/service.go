package provisioning

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/timeline"
)

// Config is what a Service stands on.
type Config struct {
	Store     Store
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger
	ServerURL string // https://host:port that devices reach
	CAPEM     []byte // the private CA that documents and handouts carry; empty with a public certificate
	CADER     []byte // the same for the enrolment link
}

// Service applies the rules of provisioning.
type Service struct {
	Config
}

// Store keeps what the rules decide.
type Store interface{}

// New returns a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{Config: c}
}

var errUnwritten = errors.New("provisioning: this operation is not written yet")

// AddUser puts a person on the integration, as a new member when the email is new to the account.
func (s *Service) AddUser(ctx context.Context, actor account.Member, u NewUser) (IntegratedUser, error) {
	return IntegratedUser{}, errUnwritten
}

// RemoveUser takes a user off the integration; their devices lose access at once.
func (s *Service) RemoveUser(ctx context.Context, actor account.Member, id UserID) error {
	return errUnwritten
}

// Import reads a CSV file of users. With dryRun nothing is written. An error means that the file as a whole cannot be
// read; faults of rows stand in the report.
func (s *Service) Import(ctx context.Context, actor account.Member, r io.Reader, filename string, dryRun bool,
) (ImportReport, error) {
	return ImportReport{}, errUnwritten
}

// Statuses returns one page of users by name.
func (s *Service) Statuses(ctx context.Context, acc account.ID, f StatusFilter) (StatusPage, error) {
	return StatusPage{}, errUnwritten
}

// Status returns one user.
func (s *Service) Status(ctx context.Context, acc account.ID, id UserID) (Status, error) {
	return Status{}, errUnwritten
}

// Timeline returns what happened to a user, newest first.
func (s *Service) Timeline(ctx context.Context, acc account.ID, id UserID, limit int) ([]timeline.Entry, error) {
	return nil, errUnwritten
}

// IssueCode makes a one-time enrolment code for a softphone of the SDK.
func (s *Service) IssueCode(ctx context.Context, actor account.Member, id UserID, kind cloudlink.DeviceKind,
) (EnrolmentCode, error) {
	return EnrolmentCode{}, errUnwritten
}

// IssueDocumentLink makes a one-time link to a provisioning document for app ("linphone").
func (s *Service) IssueDocumentLink(ctx context.Context, actor account.Member, id UserID, kind cloudlink.DeviceKind,
	app string) (DocumentLink, error) {
	return DocumentLink{}, errUnwritten
}

// Enrol burns a code and makes a device with its token. ErrExpired covers unknown, used and expired codes alike.
func (s *Service) Enrol(ctx context.Context, code account.Secret, deviceName string) (Enrolment, error) {
	return Enrolment{}, errUnwritten
}

// Document burns a link and returns its document. ErrExpired: the link is spent, ask for a new one; ErrPending: there
// is no credential yet and the link stays good.
func (s *Service) Document(ctx context.Context, token account.Secret) (Document, error) {
	return Document{}, errUnwritten
}

// Authenticate returns the device that owns a token, or ErrNotFound.
func (s *Service) Authenticate(ctx context.Context, token account.Secret) (Device, error) {
	return Device{}, errUnwritten
}

// Credential returns what a device registers with, or an ErrPending that says why there is nothing yet.
func (s *Service) Credential(ctx context.Context, acc account.ID, id DeviceID) (Handout, error) {
	return Handout{}, errUnwritten
}

// Report takes what a softphone says of its own registration.
func (s *Service) Report(ctx context.Context, acc account.ID, id DeviceID, r RegistrationReport) error {
	return errUnwritten
}

// Revoke ends a device's access.
func (s *Service) Revoke(ctx context.Context, actor account.Member, id DeviceID) error {
	return errUnwritten
}

// SyncOption changes one run of the sync.
type SyncOption func(*syncRules)

type syncRules struct{ allowLoss bool }

// AllowLoss lets a run take the credential from more users than the brake allows: an admin has looked at it.
func AllowLoss() SyncOption { return func(r *syncRules) { r.allowLoss = true } }

// Sync pulls every integrated user's endpoints and credentials from the service.
func (s *Service) Sync(ctx context.Context, acc account.ID, src Source, opts ...SyncOption) (SyncRun, error) {
	return SyncRun{}, errUnwritten
}

// SyncRuns returns the latest runs, newest first.
func (s *Service) SyncRuns(ctx context.Context, acc account.ID, limit int) ([]SyncRun, error) {
	return nil, errUnwritten
}

// Follow applies the registrar's change feed until ctx ends, and returns ctx's error then.
func (s *Service) Follow(ctx context.Context, feed RegistrationFeed) error {
	return errUnwritten
}
