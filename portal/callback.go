package portal

import (
	"errors"
	"log/slog"
	"net/http"

	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/requestlog"
)

const callbackPath = "/connect/callback"

// callback takes the browser back from the service. Every failure has its page, and changes nothing but that the
// attempt is over.
func (s *server) callback(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ConnectLink); err != nil {
		return err
	}
	q := r.URL.Query()
	_, _, err := s.Connectors.Complete(r.Context(), p.Member, p.Session, connector.Callback{
		Code: q.Get("code"), State: q.Get("state"), Issuer: q.Get("iss"),
		Error: q.Get("error"), ErrorDescription: q.Get("error_description"),
	})
	if err == nil {
		return toConnectors(w, r) // which also takes the code out of the address
	}
	m, ok := explainLink(err)
	if !ok {
		return err
	}
	m.ID = requestlog.ID(r.Context())
	s.Log.LogAttrs(r.Context(), slog.LevelWarn, "link failed", slog.String("id", m.ID), slog.Any("error", err))
	return s.show(w, r, p, m.status, "message", m.Title, m)
}

// explainLink says for each way a link can fail what to do.
func explainLink(err error) (message, bool) {
	for _, known := range []struct {
		err    error
		status int
		title  string
		text   string
		do     string
	}{
		{connector.ErrConsentDenied, http.StatusBadRequest, "You cancelled the link",
			"Consent was not given at the service, so nothing was changed.",
			"Choose Connect again when you are ready, and accept what the service asks."},
		{connector.ErrStateUnknown, http.StatusBadRequest, "This link was not started here",
			"The answer does not belong to an attempt of this browser, or was used before. Nothing was changed.",
			"Choose Connect again here, and finish in the same browser. If you did not start it, close this page."},
		{connector.ErrStateExpired, http.StatusBadRequest, "That took too long",
			"More than ten minutes passed before the service sent you back. Nothing was changed.",
			"Choose Connect again and finish within ten minutes."},
		{connector.ErrWrongIssuer, http.StatusBadRequest, "The answer came from another service",
			"It does not come from the service that this connector names, so it was refused. Nothing was changed.",
			"Compare the connector's address with your service, then choose Connect again. If it happens twice, tell your " +
				"security team."},
		{connector.ErrCodeRefused, http.StatusBadRequest, "The service refused the code",
			"The one-time code had expired or was used before. Nothing was changed.",
			"Choose Connect again; each attempt gets a fresh code."},
		{connector.ErrUnreachable, http.StatusBadGateway, "The service cannot be reached",
			"You gave consent, but the service did not answer us. Nothing was changed.",
			"Look at the connector's address and the network between the two, then choose Connect again."},
		{connector.ErrWrongPermission, http.StatusForbidden, "This person may not link the phone system",
			"Who signed in at the service lacks the permission Phone System Integration. Nothing was changed.",
			"Give them the permission there, or choose Connect again and sign in as somebody who has it."},
		{connector.ErrWrongAccount, http.StatusForbidden, "This is another account of the service",
			"Who signed in belongs to another account there than the one that this connector is linked with. Nothing was " +
				"changed.",
			"Choose Connect again and sign in as an admin of the same account. To move to the other account, disconnect " +
				"first."},
		{connector.ErrNotInstalled, http.StatusConflict, "Install the app first",
			"The app is not installed in this account. Nothing was changed.", "Install it, then choose Connect."},
	} {
		if errors.Is(err, known.err) {
			return message{
				status: known.status, Title: known.title, Text: known.text, Do: known.do, Path: "/connectors",
				Button: "Back to connectors",
			}, true
		}
	}
	return message{}, false
}
