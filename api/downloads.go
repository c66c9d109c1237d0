package api

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"demarc/internal/account"
)

// document hands out a one-time provisioning document. Only GET is routed: the HEAD of a link checker burns nothing.
func (s *server) document(w http.ResponseWriter, r *http.Request) {
	d, err := s.Provisioning.Document(r.Context(), account.Secret(chi.URLParam(r, "token")))
	if err != nil {
		writeProblem(w, s.problem(r.Context(), err))
		return
	}
	w.Header().Set("Content-Type", d.ContentType)
	_, _ = w.Write(d.Body) // the reader has gone: nobody is left to tell
}

func (s *server) ca(w http.ResponseWriter, _ *http.Request) {
	if len(s.CAPEM) == 0 {
		writeProblem(w, newProblem(http.StatusNotFound, "public_certificate",
			"This server has a public certificate: there is no CA to install."))
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	w.Header().Set("Content-Disposition", `attachment; filename="demarc-ca.pem"`)
	_, _ = w.Write(s.CAPEM)
}
