package api

import (
	"context"
	"time"

	"demarc/cloudlink"
	"demarc/internal/access"
	"demarc/internal/qrcode"
	"demarc/provisioning"
)

type codeInput struct {
	UserID string `path:"userId"`
	Body   struct {
		Kind string `json:"kind,omitempty" enum:"desktop,mobile" default:"desktop"`
	}
}

type codeOutput struct {
	Body struct {
		Code      string    `json:"code" doc:"One use; it is shown this once"`
		Link      string    `json:"link" doc:"demarc:// link with server, code and CA"`
		QR        string    `json:"qr" doc:"The link as a QR code, a data: URL of a PNG"`
		Kind      string    `json:"kind"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
}

type documentLinkInput struct {
	UserID string `path:"userId"`
	Body   struct {
		App  string `json:"app" enum:"linphone"`
		Kind string `json:"kind,omitempty" enum:"desktop,mobile" default:"desktop"`
	}
}

type documentLinkOutput struct {
	Body struct {
		URL       string    `json:"url" doc:"One use; it is shown this once"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
}

type userDeviceInput struct {
	UserID   string `path:"userId"`
	DeviceID string `path:"deviceId"`
}

func (s *server) codeRoutes() {
	const path = "/v1/users/{userId}"
	handle(s, route("POST", path+"/enrolment-codes", "issue-code", "Issue a one-time enrolment code", "Users", 201,
		"session"), s.issueCode)
	handle(s, route("POST", path+"/document-links", "issue-document-link",
		"Issue a one-time link to a provisioning document", "Users", 201, "session"), s.issueDocumentLink)
	handle(s, route("DELETE", path+"/devices/{deviceId}", "revoke-device", "Revoke a user's device", "Users", 204,
		"session"), s.revokeDevice)
}

func (s *server) issueCode(ctx context.Context, in *codeInput) (*codeOutput, error) {
	p, st, err := s.user(ctx, access.IssueCode, in.UserID)
	if err != nil {
		return nil, err
	}
	c, err := s.Provisioning.IssueCode(ctx, p.Member, st.User.ID, cloudlink.DeviceKind(in.Body.Kind))
	if err != nil {
		return nil, err
	}
	picture, err := qrcode.DataURL(c.Link)
	if err != nil {
		return nil, err
	}
	out := &codeOutput{}
	out.Body.Code, out.Body.Link, out.Body.QR = c.Code.Reveal(), c.Link.Reveal(), picture
	out.Body.Kind, out.Body.ExpiresAt = string(c.Kind), c.ExpiresAt
	return out, nil
}

func (s *server) issueDocumentLink(ctx context.Context, in *documentLinkInput) (*documentLinkOutput, error) {
	p, st, err := s.user(ctx, access.IssueCode, in.UserID)
	if err != nil {
		return nil, err
	}
	l, err := s.Provisioning.IssueDocumentLink(ctx, p.Member, st.User.ID, cloudlink.DeviceKind(in.Body.Kind), in.Body.App)
	if err != nil {
		return nil, err
	}
	out := &documentLinkOutput{}
	out.Body.URL, out.Body.ExpiresAt = l.URL.Reveal(), l.ExpiresAt
	return out, nil
}

func (s *server) revokeDevice(ctx context.Context, in *userDeviceInput) (*struct{}, error) {
	p, st, err := s.user(ctx, access.RevokeDevice, in.UserID)
	if err != nil {
		return nil, err
	}
	for _, d := range st.Devices {
		if string(d.ID) == in.DeviceID {
			return nil, s.Provisioning.Revoke(ctx, p.Member, d.ID)
		}
	}
	return nil, provisioning.ErrNotFound
}
