package provisioning

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/timeline"
)

const (
	ticketLife      = 24 * time.Hour
	keepTickets     = 7 * 24 * time.Hour
	maxTickets      = 100 // of one user, ended ones that are kept included
	maxEnrolled     = 50  // devices of one user
	purposeCode     = "code"
	purposeDocument = "document"
	codeAlphabet    = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford's: no I, L, O, U
	codeLength      = 12                                 // 60 bits
	appLinphone     = "linphone"
)

// IssueCode makes a one-time enrolment code for a softphone of the SDK.
func (s *Service) IssueCode(ctx context.Context, actor account.Member, id UserID, kind cloudlink.DeviceKind,
) (EnrolmentCode, error) {
	if err := checkKind(kind); err != nil {
		return EnrolmentCode{}, err
	}
	code := newCode()
	t := Ticket{
		Account: actor.Account, User: id, Hash: codeHash(code), Purpose: purposeCode, Kind: kind,
		ExpiresAt: s.Now().Add(ticketLife),
	}
	if err := s.issue(ctx, actor, t, "A one-time enrolment code for a "+string(kind)+" softphone was made."); err != nil {
		return EnrolmentCode{}, err
	}
	return EnrolmentCode{Code: code, Link: s.enrolLink(code), User: id, Kind: kind, ExpiresAt: t.ExpiresAt}, nil
}

// IssueDocumentLink makes a one-time link to a provisioning document for app ("linphone").
func (s *Service) IssueDocumentLink(ctx context.Context, actor account.Member, id UserID, kind cloudlink.DeviceKind,
	app string) (DocumentLink, error) {
	if err := checkKind(kind); err != nil {
		return DocumentLink{}, err
	}
	if app != appLinphone {
		return DocumentLink{}, fmt.Errorf("%w: there is no provisioning document for %q: use linphone", ErrInvalid,
			clip(app, 40))
	}
	token := account.NewToken()
	t := Ticket{
		Account: actor.Account, User: id, Hash: token.Hash(), Purpose: purposeDocument, Kind: kind, App: app,
		ExpiresAt: s.Now().Add(ticketLife),
	}
	if err := s.issue(ctx, actor, t, "A one-time "+app+" link for the "+string(kind)+" was made."); err != nil {
		return DocumentLink{}, err
	}
	where := account.Secret(s.ServerURL + "/provision/" + token.Reveal())
	return DocumentLink{URL: where, App: app, User: id, ExpiresAt: t.ExpiresAt}, nil
}

func (s *Service) issue(ctx context.Context, actor account.Member, t Ticket, text string) error {
	return s.Store.Issue(ctx, t, s.Now().Add(-keepTickets), maxTickets, timeline.Entry{
		Account: t.Account, User: string(t.User), At: s.Now(), Kind: timeline.CodeIssued, Actor: string(actor.ID),
		Text: text + fmt.Sprintf(" It is good for %.0f hours.", ticketLife.Hours()),
	})
}

func checkKind(kind cloudlink.DeviceKind) error {
	if kind != cloudlink.Desktop && kind != cloudlink.Mobile {
		return fmt.Errorf("%w: the kind of device is desktop or mobile", ErrInvalid)
	}
	return nil
}

func newCode() account.Secret {
	raw := make([]byte, codeLength)
	rand.Read(raw) // never fails: crypto/rand ends the process instead
	var b strings.Builder
	for i, c := range raw {
		if i > 0 && i%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(codeAlphabet[c%32]) // 256 is a multiple of 32: no bias
	}
	return account.Secret(b.String())
}

// codeHash hashes a code as people type it: hyphens, spaces and case do not matter, and O, I and L are read as digits.
func codeHash(code account.Secret) string {
	plain := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(code.Reveal()))
	return account.Secret(plain).Hash()
}

// enrolLink is what the QR picture holds.
func (s *Service) enrolLink(code account.Secret) account.Secret {
	host := strings.TrimPrefix(s.ServerURL, "https://")
	query := url.Values{"code": {code.Reveal()}}
	if len(s.CADER) > 0 {
		query.Set("ca", base64.RawURLEncoding.EncodeToString(s.CADER))
	}
	return account.Secret("demarc://" + host + "/enrol?" + query.Encode())
}

// Enrol burns a code and makes a device with its token. ErrExpired covers unknown, used and expired codes alike.
func (s *Service) Enrol(ctx context.Context, code account.Secret, deviceName string) (Enrolment, error) {
	token := account.NewToken()
	id, instance := DeviceID(account.NewID("dev")), newInstance()
	var enrolled Device
	err := s.Store.Redeem(ctx, purposeCode, codeHash(code), func(t Ticket, r *Record) error {
		now := s.Now()
		if !now.Before(t.ExpiresAt) {
			return ErrExpired
		}
		if err := r.room(); err != nil {
			return err
		}
		name := first(strings.TrimSpace(clip(deviceName, 80)), "Softphone")
		enrolled = *r.addDevice(Device{
			Account: t.Account, ID: id, User: t.User, Name: name, Kind: t.Kind, Origin: OriginSDK, Instance: instance,
			EnrolledAt: now, LastSeen: now,
		}, token.Hash())
		r.tell(now, timeline.Enrolled, byDevice, string(id), 0, "The "+string(t.Kind)+" softphone "+name+" was enrolled.")
		return nil
	})
	if err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Device: enrolled, Token: token}, nil
}

// room refuses one device too many: every change of a user loads all of them.
func (r *Record) room() error {
	enrolled := 0
	for _, d := range r.Devices {
		if d.Origin != OriginObserved {
			enrolled++
		}
	}
	if enrolled >= maxEnrolled {
		return fmt.Errorf("%w: this user has %d devices; revoke those that are not used any more, then try again",
			ErrConflict, enrolled)
	}
	return nil
}

// newInstance returns a random UUID as a URN (RFC 5626 §4.1, RFC 9562 §5.4), for +sip.instance.
func newInstance() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Authenticate returns the device that owns a token, or ErrNotFound.
func (s *Service) Authenticate(ctx context.Context, token account.Secret) (Device, error) {
	return s.Store.Authenticate(ctx, token.Hash())
}

// Revoke ends a device's access.
func (s *Service) Revoke(ctx context.Context, actor account.Member, id DeviceID) error {
	return s.Store.Change(ctx, actor.Account, id, func(r *Record) error {
		name := r.Device(id).Name
		r.dropDevice(id)
		r.tell(s.Now(), timeline.Revoked, string(actor.ID), string(id), 0, "The device "+name+" was revoked. It still knows "+
			"the SIP credential: when the device is lost, rotate the credential at the PBX.")
		return nil
	})
}
