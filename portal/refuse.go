package portal

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"demarc/cloudlink"
	"demarc/connector"
	"demarc/internal/access"
	"demarc/internal/requestlog"
	"demarc/provisioning"
	"demarc/store"
)

var (
	errNoPage      = errors.New("there is no such page")
	errCrossOrigin = errors.New("another site sent this request")
)

// message is a page that says what is wrong and what to do next.
type message struct {
	Title   string
	Text    string
	Do      string // what to do next
	Path    string // of the button, or empty
	Button  string
	Insist  string // path that a button posts to, to go on all the same
	ID      string // correlation id, shown when support needs it
	status  int
	unknown bool // nobody foresaw it: it is logged
}

// refuse shows an error as a page. Foreign and absent things are one page.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, p access.Principal, err error) {
	m := explain(err)
	m.ID = requestlog.ID(r.Context())
	if m.unknown {
		s.Log.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("id", m.ID), slog.Any("error", err))
	}
	if m.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	if err := s.show(w, r, p, m.status, "message", m.Title, m); err != nil {
		s.Log.LogAttrs(r.Context(), slog.LevelError, "page failed", slog.String("id", m.ID), slog.Any("error", err))
		http.Error(w, m.Title, m.status)
	}
}

func explain(err error) message {
	var tooLarge *http.MaxBytesError
	var refused *cloudlink.Error
	switch {
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return message{
			status: http.StatusServiceUnavailable, Title: "Not available at the moment",
			Text: "The store does not answer. Nothing was changed.", Do: "Wait some seconds and load the page again.",
		}
	case errors.Is(err, context.Canceled):
		return message{
			status: requestlog.StatusClientGone, Title: "Not loaded", Text: "The browser ended the request.",
			Do: "Load the page again.",
		}
	case errors.Is(err, access.ErrNoSession):
		return message{
			status: http.StatusUnauthorized, Title: "Please sign in", Text: "Your session has ended. Nothing was changed.",
			Do: "Sign in, then do it again.", Path: "/sign-in", Button: "Sign in",
		}
	case errors.Is(err, errCrossOrigin):
		return message{
			status: http.StatusForbidden, Title: "This came from another site", Path: "/", Button: "Open the portal",
			Text: "A page of another site sent this request, so nothing was changed.", Do: "Do it here, if you meant it.",
		}
	case errors.Is(err, provisioning.ErrNotFound), errors.Is(err, connector.ErrNotFound), errors.Is(err, errNoPage),
		errors.Is(err, access.ErrNotFound):
		return message{
			status: http.StatusNotFound, Title: "Not found", Text: "There is nothing here that you may see.",
			Do: "Go back to the list.", Path: "/", Button: "Status",
		}
	case errors.Is(err, access.ErrForbidden):
		return message{
			status: http.StatusForbidden, Title: "Your role does not allow this", Text: "Nothing was changed.",
			Do: "Ask an owner or admin of the account.", Path: "/", Button: "Status",
		}
	case errors.As(err, &tooLarge):
		return message{
			status: http.StatusRequestEntityTooLarge, Title: "Too large", Text: "What was sent is larger than is taken here.",
			Do: "Split the file into several smaller ones.", Path: "/import", Button: "Back",
		}
	case errors.As(err, &refused):
		return message{
			status: http.StatusBadGateway, Title: "The service refused", Text: refused.Error(), Path: "/connectors",
			Do: "Try again; if it stays, give the correlation id to the service's support.", Button: "Connectors",
		}
	}
	return explainRule(err)
}

// explainRule covers the errors whose own words say what is wrong.
func explainRule(err error) message {
	if errors.Is(err, provisioning.ErrMassLoss) {
		return message{
			status: http.StatusConflict, Title: "The sync was stopped to protect your users", Text: err.Error(),
			Do:     "Look at the users at the PBX side first. If they are meant to lose their phones, sync all the same.",
			Insist: "/sync?allowLoss=true", Button: "Sync all the same",
		}
	}
	for _, known := range []struct {
		err    error
		status int
		title  string
	}{
		{access.ErrConflict, http.StatusConflict, "That is there already"},
		{provisioning.ErrConflict, http.StatusConflict, "That is there already"},
		{access.ErrInvalid, http.StatusUnprocessableEntity, "Please correct this"},
		{provisioning.ErrInvalid, http.StatusUnprocessableEntity, "Please correct this"},
		{connector.ErrInvalid, http.StatusUnprocessableEntity, "Please correct this"},
		{store.ErrText, http.StatusUnprocessableEntity, "Please correct this"},
		{provisioning.ErrBusy, http.StatusConflict, "A sync is running already"},
		{connector.ErrNotInstalled, http.StatusConflict, "Install the app first"},
		{connector.ErrReauthorize, http.StatusConflict, "The authorisation has ended"},
		{connector.ErrUnreachable, http.StatusBadGateway, "The service cannot be reached"},
	} {
		if errors.Is(err, known.err) {
			return message{
				status: known.status, Title: known.title, Text: err.Error(), Do: "Go back, change it and try again.",
			}
		}
	}
	return message{
		status: http.StatusInternalServerError, Title: "Something went wrong here", unknown: true,
		Text: "This should not happen.", Do: "Try again. If it stays, tell support the number below.",
	}
}
