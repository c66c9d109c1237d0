package portal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"

	"demarc/internal/access"
	"demarc/provisioning"
	"demarc/store"
)

type reportView struct {
	Report  provisioning.ImportReport
	Name    string
	Content string // base64 of the file, to apply what was checked and nothing else
}

func (s *server) importPage(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ChangeUsers); err != nil {
		return err
	}
	return s.show(w, r, p, http.StatusOK, "import", "Add users", nil)
}

func (s *server) addUser(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ChangeUsers); err != nil {
		return err
	}
	u := provisioning.NewUser{
		Email: strings.TrimSpace(r.PostFormValue("email")), Name: strings.TrimSpace(r.PostFormValue("name")),
		Extension: strings.TrimSpace(r.PostFormValue("extension")),
	}
	if err := store.CheckText(u.Email, u.Name, u.Extension); err != nil {
		return err
	}
	added, err := s.Provisioning.AddUser(r.Context(), p.Member, u)
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/users/"+string(added.ID), http.StatusSeeOther)
	return nil
}

func (s *server) importDryRun(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ChangeUsers); err != nil {
		return err
	}
	file, header, err := r.FormFile("file")
	if err != nil {
		return fmt.Errorf("%w: choose a CSV file first: %w", provisioning.ErrInvalid, err)
	}
	defer file.Close()
	defer func() { _ = r.MultipartForm.RemoveAll() }() // left-overs in the temporary directory harm nobody
	content, err := io.ReadAll(http.MaxBytesReader(w, file, importBody))
	if err != nil {
		return err
	}
	return s.report(w, r, p, header.Filename, content, true)
}

func (s *server) importApply(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ChangeUsers); err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return err
	}
	content, err := base64.StdEncoding.DecodeString(r.PostForm.Get("content"))
	if err != nil {
		return fmt.Errorf("%w: the file did not arrive whole: choose it again", provisioning.ErrInvalid)
	}
	return s.report(w, r, p, r.PostForm.Get("name"), content, false)
}

func (s *server) report(w http.ResponseWriter, r *http.Request, p access.Principal, name string, content []byte,
	dryRun bool,
) error {
	report, err := s.Provisioning.Import(r.Context(), p.Member, bytes.NewReader(content), name, dryRun)
	if err != nil {
		return err
	}
	v := reportView{Report: report, Name: name}
	if dryRun && len(report.Errors) == 0 && report.Add+report.Update > 0 {
		v.Content = base64.StdEncoding.EncodeToString(content)
	}
	status := http.StatusOK
	if len(report.Errors) > 0 {
		status = http.StatusUnprocessableEntity
	}
	return s.show(w, r, p, status, "report", "Import", v)
}
