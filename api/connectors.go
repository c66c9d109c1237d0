package api

import (
	"context"
	"time"

	"demarc/connector"
	"demarc/internal/access"
	"demarc/store"
)

type connectorsOutput struct {
	Body struct {
		Installed  bool            `json:"installed" doc:"Whether the app is in the account"`
		Connectors []connectorBody `json:"connectors" nullable:"false"`
	}
}

type connectorInput struct {
	ConnectorID string `path:"connectorId"`
}

type connectorOutput struct{ Body connectorBody }

type connectorBody struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	BaseURL   string      `json:"baseUrl"`
	State     string      `json:"state" enum:"unlinked,linked,needs_auth"`
	Reason    string      `json:"reason,omitempty" doc:"Why it is not linked"`
	Changed   time.Time   `json:"changed,omitzero"`
	CreatedAt time.Time   `json:"createdAt,omitzero"`
	Grants    []grantBody `json:"grants,omitempty" doc:"Only when one connector is read; newest first"`
}

type grantBody struct {
	ID        string    `json:"id"`
	Email     string    `json:"email" doc:"Who signed in at the service"`
	GrantedBy string    `json:"grantedBy" doc:"Member id"`
	GrantedAt time.Time `json:"grantedAt"`
	EndedAt   time.Time `json:"endedAt,omitzero"`
	EndReason string    `json:"endReason,omitempty"`
}

type createConnectorInput struct {
	Body struct {
		Name    string `json:"name" minLength:"1" maxLength:"100"`
		BaseURL string `json:"baseUrl" maxLength:"300" example:"https://cloudlink.example.com"`
	}
}

type connectOutput struct {
	Body struct {
		URL string `json:"url" doc:"Send the browser of this session there"`
	}
}

func (s *server) connectorRoutes() {
	const path, tag = "/v1/connectors", "Connectors"
	handle(s, route("POST", "/v1/app", "install-app", "Install the app in the account", tag, 204, "session"), s.install)
	handle(s, route("GET", path, "list-connectors", "List connectors", tag, 200, "session"), s.connectors)
	handle(s, route("POST", path, "create-connector", "Create a connector", tag, 201, "session"), s.createConnector)
	handle(s, route("GET", path+"/{connectorId}", "read-connector", "Read a connector with its grants", tag, 200,
		"session"), s.readConnector)
	handle(s, route("POST", path+"/{connectorId}/connect", "connect", "Begin the link at the service", tag, 200,
		"session"), s.connect)
	handle(s, route("POST", path+"/{connectorId}/disconnect", "disconnect", "End every grant of the connector", tag, 204,
		"session"), s.disconnect)
}

func (s *server) install(ctx context.Context, _ *struct{}) (*struct{}, error) {
	p, _, err := s.may(ctx, access.ChangeLink)
	if err != nil {
		return nil, err
	}
	return nil, s.Connectors.Install(ctx, p.Member)
}

func (s *server) connectors(ctx context.Context, _ *struct{}) (*connectorsOutput, error) {
	p, _, err := s.may(ctx, access.ReadLink)
	if err != nil {
		return nil, err
	}
	installed, err := s.Connectors.Installed(ctx, p.Account)
	if err != nil {
		return nil, err
	}
	all, err := s.Connectors.List(ctx, p.Account)
	if err != nil {
		return nil, err
	}
	out := &connectorsOutput{}
	out.Body.Installed, out.Body.Connectors = installed, []connectorBody{}
	for _, c := range all {
		out.Body.Connectors = append(out.Body.Connectors, describeConnector(c, nil))
	}
	return out, nil
}

func (s *server) createConnector(ctx context.Context, in *createConnectorInput) (*connectorOutput, error) {
	p, _, err := s.may(ctx, access.ChangeLink)
	if err != nil {
		return nil, err
	}
	if err := store.CheckText(in.Body.Name, in.Body.BaseURL); err != nil {
		return nil, err
	}
	c, err := s.Connectors.Create(ctx, p.Member, in.Body.Name, in.Body.BaseURL)
	if err != nil {
		return nil, err
	}
	return &connectorOutput{Body: describeConnector(c, nil)}, nil
}

func (s *server) readConnector(ctx context.Context, in *connectorInput) (*connectorOutput, error) {
	_, c, grants, err := s.connector(ctx, access.ReadLink, in.ConnectorID)
	if err != nil {
		return nil, err
	}
	return &connectorOutput{Body: describeConnector(c, grants)}, nil
}

func (s *server) connect(ctx context.Context, in *connectorInput) (*connectOutput, error) {
	p, c, _, err := s.connector(ctx, access.ConnectLink, in.ConnectorID)
	if err != nil {
		return nil, err
	}
	url, err := s.Connectors.Begin(ctx, p.Member, p.Session, c.ID)
	if err != nil {
		return nil, err
	}
	out := &connectOutput{}
	out.Body.URL = url
	return out, nil
}

func (s *server) disconnect(ctx context.Context, in *connectorInput) (*struct{}, error) {
	p, c, _, err := s.connector(ctx, access.ChangeLink, in.ConnectorID)
	if err != nil {
		return nil, err
	}
	return nil, s.Connectors.Disconnect(ctx, p.Member, c.ID)
}

func (s *server) connector(
	ctx context.Context, v access.Verb, id string,
) (access.Principal, connector.Connector, []connector.Grant, error) {
	p, _, err := s.may(ctx, v)
	if err != nil {
		return p, connector.Connector{}, nil, err
	}
	if !isID(id) {
		return p, connector.Connector{}, nil, connector.ErrNotFound
	}
	c, grants, err := s.Connectors.Connector(ctx, p.Account, connector.ID(id))
	return p, c, grants, err
}

func describeConnector(c connector.Connector, grants []connector.Grant) connectorBody {
	b := connectorBody{
		ID: string(c.ID), Name: c.Name, BaseURL: c.BaseURL, State: string(c.State), Reason: c.Reason,
		Changed: c.ChangedAt, CreatedAt: c.CreatedAt,
	}
	for _, g := range grants {
		b.Grants = append(b.Grants, grantBody{
			ID: g.ID, Email: g.Email, GrantedBy: string(g.GrantedBy), GrantedAt: g.GrantedAt, EndedAt: g.EndedAt,
			EndReason: g.EndReason,
		})
	}
	return b
}
