package softphone

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Enrolment is what a user types or scans once to make this device theirs.
type Enrolment struct {
	Link   string // demarc://…; when set, Server, Code and CA come from it
	Server string // https://host:port
	Code   Secret // one-time code
	CA     []byte // PEM of the server's private authority; empty for a public certificate
	Name   string // the device's name as support staff will see it, e.g. "Ada's laptop"; default "Softphone"
}

// Enrol trades the one-time code for a profile, which the caller stores (see Profile.Save). It tries once: the code is
// used up by the first attempt that arrives. Errors: ErrLink, ErrRefused with the server's reason, or a *Failure when
// the server cannot be reached.
func Enrol(ctx context.Context, e Enrolment) (*Profile, error) {
	if e.Link != "" {
		link, err := ParseLink(e.Link)
		if err != nil {
			return nil, err
		}
		e.Server, e.Code, e.CA = link.Server, link.Code, link.CA
	}
	if e.Name = strings.TrimSpace(e.Name); e.Name == "" {
		e.Name = "Softphone"
	}
	if e.Code == "" {
		return nil, errors.New("an enrolment needs a code: ask your admin for one, or copy the whole link")
	}
	client, err := newAPIClient(e.Server, e.CA)
	if err != nil {
		return nil, err
	}
	defer client.close()
	reply, err := client.do(ctx, http.MethodPost, "/v1/enrolments", "", "", struct {
		Code string `json:"code"`
		Name string `json:"name"`
	}{e.Code.Reveal(), e.Name})
	if err != nil {
		return nil, err
	}
	switch {
	case reply.status == http.StatusCreated:
		return enrolled(e, client.base.String(), reply)
	case reply.status >= 500 || reply.status == http.StatusTooManyRequests:
		return nil, reply.failure()
	}
	return nil, fmt.Errorf("%w: %s", ErrRefused, reply.problem.text(reply.status))
}

func enrolled(e Enrolment, server string, reply *apiReply) (*Profile, error) {
	var body struct {
		DeviceID string `json:"deviceId"`
		Token    string `json:"token"`
		Instance string `json:"instance"`
		Kind     Kind   `json:"kind"`
		CA       string `json:"ca"`
		User     struct {
			Name      string `json:"name"`
			Extension string `json:"extension"`
		} `json:"user"`
	}
	if err := reply.decode(&body); err != nil {
		return nil, err
	}
	p := &Profile{
		Server: server, CA: e.CA, DeviceID: body.DeviceID, Token: Secret(body.Token), Instance: body.Instance,
		Kind: body.Kind, User: body.User.Name, Extension: body.User.Extension,
	}
	// A pinned server may hand over its next authority; one with a public certificate stays with the system's.
	if len(e.CA) > 0 && body.CA != "" {
		p.CA = []byte(body.CA)
	}
	if _, err := rootPool(p.CA); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadReply, err)
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadReply, err)
	}
	return p, nil
}

// Unenrol gives the device's token back, so that it is worth nothing to a finder of the profile. A device that the
// server no longer knows is a success.
func Unenrol(ctx context.Context, p *Profile) error {
	client, err := newAPIClient(p.Server, p.CA)
	if err != nil {
		return err
	}
	defer client.close()
	reply, err := client.do(ctx, http.MethodDelete, "/v1/devices/"+p.DeviceID, p.Token, "", nil)
	if err != nil {
		return err
	}
	switch reply.status {
	case http.StatusNoContent, http.StatusOK, http.StatusUnauthorized, http.StatusNotFound:
		return nil
	}
	return reply.failure()
}
