package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"demarc/cloudlink"
	"demarc/internal/access"
	"demarc/provisioning"
	"demarc/store"
)

type deviceInput struct {
	DeviceID string `path:"deviceId"`
}

type deviceOutput struct{ Body deviceBody }

type credentialInput struct {
	DeviceID    string `path:"deviceId"`
	IfNoneMatch string `header:"If-None-Match" doc:"ETag of the credential that the device has"`
}

type credentialOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *credentialBody
}

type credentialBody struct {
	DisplayName     string         `json:"displayName"`
	Extension       string         `json:"extension"`
	CallerID        string         `json:"callerId"`
	VoicemailNumber string         `json:"voicemailNumber"`
	Kind            string         `json:"kind" enum:"desktop,mobile"`
	Username        string         `json:"username" doc:"User part of the AoR"`
	AuthUsername    string         `json:"authUsername" doc:"User name in digest responses"`
	Realm           string         `json:"realm"`
	Domain          string         `json:"domain" doc:"SIP domain of the AoR"`
	Instance        string         `json:"instance" doc:"URN for +sip.instance"`
	Digests         []digestBody   `json:"digests" nullable:"false"`
	Registrars      []registrarDoc `json:"registrars" nullable:"false"`
	SRTP            string         `json:"srtp" enum:"required,preferred,off"`
	RegisterExpires int            `json:"registerExpires" doc:"Seconds"`
	Keepalive       int            `json:"keepalive" doc:"Seconds"`
	CA              string         `json:"ca,omitempty" doc:"PEM of the CA to trust for the registrars"`
}

type digestBody struct {
	Algorithm string `json:"algorithm" example:"MD5"`
	HA1       string `json:"ha1" doc:"A password in all but name: valid in its realm under its algorithm"`
}

type registrarDoc struct {
	Role      string `json:"role" enum:"sbc,backup,internal"`
	Host      string `json:"host"`
	Port      int    `json:"port"`
	Transport string `json:"transport" enum:"tls,tcp,udp,wss" doc:"wss is for browsers: SIP over WebSockets (RFC 7118)"`
	Path      string `json:"path,omitempty" doc:"With wss: the URL's path"`
	Realm     string `json:"realm,omitempty" doc:"When it differs from the credential's"`
}

type reportInput struct {
	DeviceID string `path:"deviceId"`
	Body     struct {
		Outcome   string `json:"outcome" enum:"registered,failed,stopped" doc:"registered also after a refresh"`
		Expires   int    `json:"expires,omitempty" minimum:"0" maximum:"4294967295" doc:"Seconds that the registration is good for"`
		AgeMS     int    `json:"ageMs,omitempty" minimum:"0" maximum:"4294967295" doc:"Milliseconds since it happened"`
		Code      int    `json:"code,omitempty" minimum:"0" maximum:"699" doc:"SIP status; 0 when no answer came"`
		Text      string `json:"text,omitempty" maxLength:"512" doc:"Reason phrase, Warning text, or what failed"`
		Cause     string `json:"cause,omitempty" maxLength:"32" doc:"sip, tls_untrusted, timeout, …"`
		Registrar string `json:"registrar,omitempty" maxLength:"260" doc:"host:port that was tried"`
	}
}

func (s *server) deviceRoutes() {
	const path = "/v1/devices/{deviceId}"
	handle(s, route("GET", path, "read-device", "Read the device and its state", "Devices", 200, "device"), s.readDevice)
	handle(s, route("DELETE", path, "un-enrol", "Un-enrol the device", "Devices", 204, "device"), s.unenrol)
	fetch := route("GET", path+"/credential", "fetch-credential", "Fetch what to register with", "Devices", 200, "device")
	fetch.Description = "Answers 304 while If-None-Match names the current credential, and 409 with the code " +
		"credential_pending while there is none yet."
	handle(s, fetch, s.credential)
	report := route("POST", path+"/registration", "report-registration", "Report how registering went", "Devices", 204,
		"device")
	report.Description = "For PBXs whose registrar does not tell demarc. The later word counts: a report of a moment " +
		"before the last thing that demarc's own registrar saw of the device changes nothing. A registration that is not " +
		"reported again within expires (0: registerExpires of the credential) counts as inactive."
	handle(s, report, s.report)
}

func (s *server) readDevice(ctx context.Context, in *deviceInput) (*deviceOutput, error) {
	d, err := s.ownDevice(ctx, access.ReadOwnDevice, in.DeviceID)
	if err != nil {
		return nil, err
	}
	return &deviceOutput{Body: describeDevice(d)}, nil
}

func (s *server) unenrol(ctx context.Context, in *deviceInput) (*struct{}, error) {
	d, err := s.ownDevice(ctx, access.Unenrol, in.DeviceID)
	if err != nil {
		return nil, err
	}
	return nil, s.Provisioning.Revoke(ctx, access.OfDevice(d.Account, string(d.ID)).Member, d.ID)
}

func (s *server) credential(ctx context.Context, in *credentialInput) (*credentialOutput, error) {
	c := callerOf(ctx)
	if c.bearer == "" {
		return nil, s.noDevice(ctx, access.FetchCredential)
	}
	known := false
	h, err := s.Provisioning.Credential(ctx, provisioning.Fetching{
		Token: c.bearer, May: func(d provisioning.Device) error { return own(d, access.FetchCredential, in.DeviceID) },
		Known: func(etag string) bool {
			known = matches(in.IfNoneMatch, quoted(etag))
			return known
		},
	})
	switch {
	case errors.Is(err, errForeign):
		return nil, err
	case errors.Is(err, provisioning.ErrNotFound):
		return nil, access.ErrNoSession
	case err != nil:
		return nil, err
	case known:
		return &credentialOutput{Status: http.StatusNotModified, ETag: quoted(h.ETag)}, nil
	}
	return &credentialOutput{Status: http.StatusOK, ETag: quoted(h.ETag), Body: describeHandout(h)}, nil
}

func quoted(etag string) string { return `"` + etag + `"` }

// matches is the weak comparison of RFC 9110 §13.1.2.
func matches(ifNoneMatch, etag string) bool {
	for one := range strings.SplitSeq(ifNoneMatch, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == "*" || one == etag {
			return true
		}
	}
	return false
}

func describeHandout(h provisioning.Handout) *credentialBody {
	c := h.Credential
	b := &credentialBody{
		DisplayName: h.User.Name, Extension: h.User.Extension, CallerID: c.CallerID, VoicemailNumber: c.VoicemailNumber,
		Kind: string(h.Device.Kind), Username: c.SIPUsername, AuthUsername: c.AuthUsername, Realm: c.Realm,
		Domain: c.Domain, Instance: h.Device.Instance, Digests: []digestBody{}, Registrars: []registrarDoc{},
		SRTP: c.SRTP, RegisterExpires: c.RegisterExpires, Keepalive: c.Keepalive, CA: string(h.CAPEM),
	}
	for _, hash := range c.Hashes {
		b.Digests = append(b.Digests, digestBody{Algorithm: string(hash.Algorithm), HA1: hash.HA1.Reveal()})
	}
	for _, r := range c.Registrars {
		b.Registrars = append(b.Registrars, describeRegistrar(r))
	}
	return b
}

func describeRegistrar(r cloudlink.Registrar) registrarDoc {
	return registrarDoc{Role: string(r.Role), Host: r.Host, Port: r.Port, Transport: r.Transport, Path: r.Path, Realm: r.Realm}
}

func (s *server) report(ctx context.Context, in *reportInput) (*struct{}, error) {
	d, err := s.ownDevice(ctx, access.Report, in.DeviceID)
	if err != nil {
		return nil, err
	}
	b := in.Body
	if err := store.CheckText(b.Text, b.Cause, b.Registrar); err != nil {
		return nil, err
	}
	return nil, s.Provisioning.Report(ctx, d.Account, d.ID, provisioning.RegistrationReport{
		Outcome: provisioning.Outcome(b.Outcome), Expires: time.Duration(b.Expires) * time.Second,
		Age: time.Duration(b.AgeMS) * time.Millisecond, Code: b.Code, Text: b.Text, Cause: b.Cause, Registrar: b.Registrar,
	})
}
