package api

import (
	"context"
	"errors"
	"net/http"

	"demarc/internal/account"
	"demarc/provisioning"
	"demarc/store"
)

type enrolInput struct {
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64" doc:"One-time code as the admin gave it"`
		Name string `json:"name" minLength:"1" maxLength:"100" doc:"What the user calls this device"`
	}
}

type enrolOutput struct{ Body enrolmentBody }

type enrolmentBody struct {
	DeviceID string       `json:"deviceId"`
	Token    string       `json:"token" doc:"Bearer token of this device alone; it is shown this once"`
	Instance string       `json:"instance" doc:"URN to register with as +sip.instance (RFC 5626)"`
	Kind     string       `json:"kind" enum:"desktop,mobile"`
	User     enrolledUser `json:"user"`
	CA       string       `json:"ca,omitempty" doc:"PEM of the CA to trust; absent with a public certificate"`
}

type enrolledUser struct {
	Name      string `json:"name"`
	Extension string `json:"extension"`
}

func (s *server) enrolmentRoutes() {
	handle(s, route("POST", "/v1/enrolments", "enrol", "Enrol a device with a one-time code", "Devices", 201), s.enrol)
}

// enrol spends a try before it looks: many at once must not get more than the bound. Only a refused code costs it.
func (s *server) enrol(ctx context.Context, in *enrolInput) (*enrolOutput, error) {
	if err := store.CheckText(in.Body.Code, in.Body.Name); err != nil {
		return nil, err
	}
	from := callerOf(ctx).addr
	if ok, wait := s.Guesses.Take(from); !ok {
		return nil, newProblem(http.StatusTooManyRequests, "too_many_tries",
			"Too many codes were tried from here. Wait, then type the code again.").retryAfter(wait)
	}
	e, err := s.Provisioning.Enrol(ctx, account.Secret(in.Body.Code), in.Body.Name)
	if !errors.Is(err, provisioning.ErrExpired) && !errors.Is(err, provisioning.ErrInvalid) {
		s.Guesses.Refund(from)
	}
	if err != nil {
		return nil, err
	}
	out := &enrolOutput{Body: enrolmentBody{
		DeviceID: string(e.Device.ID), Token: e.Token.Reveal(), Instance: e.Device.Instance, Kind: string(e.Device.Kind),
		CA: string(s.CAPEM),
	}}
	// The code is burnt: a name that cannot be read now must not lose the device its token.
	if st, err := s.Provisioning.Status(ctx, e.Device.Account, e.Device.User); err == nil {
		out.Body.User = enrolledUser{Name: st.User.Name, Extension: st.User.Extension}
	}
	return out, nil
}
