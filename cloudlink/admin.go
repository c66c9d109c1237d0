package cloudlink

// ScopeClients lets an admin's app make and remove clients of the account (ours).
const ScopeClients = "admin:clients"

// Client is an application of one account, which asks for tokens in its own name.
type Client struct {
	ClientID     string   `json:"clientId"`
	ClientSecret string   `json:"clientSecret,omitempty"` // in the answer to its creation alone
	Name         string   `json:"name"`
	Scopes       []string `json:"scopes"`
	CreatedOn    string   `json:"createdOn"` // RFC 3339
	CreatedBy    string   `json:"createdBy"`
}

// String hides the secret.
func (c Client) String() string { return c.ClientID + " " + c.Name }

// GoString hides the secret.
func (c Client) GoString() string { return c.String() }

// NewClient is the body that makes a client.
type NewClient struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`
}

// LinkedApp is an app that an admin of the account has linked: what GET /connectors lists (ours).
type LinkedApp struct {
	ConnectorID string   `json:"connectorId"`
	ClientID    string   `json:"clientId"`
	Name        string   `json:"name"`
	Scopes      []string `json:"scopes"`
	LinkedBy    string   `json:"linkedBy"` // userId
	LinkedOn    string   `json:"linkedOn"` // RFC 3339
}
