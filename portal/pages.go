package portal

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"demarc/internal/access"
)

//go:embed templates assets
var files embed.FS

// pages renders the embedded templates.
type pages struct {
	byName map[string]*template.Template
	assets map[string]asset
}

type asset struct {
	kind    string
	content []byte
	version string
}

// newPages parses what is embedded. A fault in it is the programmer's and shows in the first test, so that it panics.
func newPages(now func() time.Time) *pages {
	p := &pages{byName: map[string]*template.Template{}, assets: map[string]asset{}}
	for name, kind := range map[string]string{
		"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		content, err := files.ReadFile("assets/" + name)
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		p.assets[name] = asset{kind: kind, content: content, version: hex.EncodeToString(sum[:6])}
	}
	words := template.FuncMap{
		"asset":  func(name string) string { return "/assets/" + name + "?v=" + p.assets[name].version },
		"ago":    func(t time.Time) string { return ago(now(), t) },
		"stamp":  stamp,
		"state":  stateWord,
		"kind":   kindWord,
		"upper":  strings.ToUpper,
		"reason": reason,
		"origin": originWord,
		"event":  eventWord,
		"link":   linkWord,
		"iso":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}
	layout := template.Must(template.New("layout").Funcs(words).ParseFS(files, "templates/layout.html",
		"templates/parts.html"))
	for _, name := range []string{
		"users", "user", "code", "document", "connectors", "import", "report", "members", "signin", "message",
	} {
		p.byName[name] = template.Must(template.Must(layout.Clone()).ParseFS(files, "templates/"+name+".html"))
	}
	return p
}

// view is what the layout shows around a page.
type view struct {
	Title  string
	Member string // who is signed in, or empty
	Role   string
	Nav    []navItem
	Body   any
}

type navItem struct {
	Path, Name string
	Here       bool
}

func (s *server) show(w http.ResponseWriter, r *http.Request, p access.Principal, status int, name, title string,
	body any,
) error {
	v := view{Title: title, Member: p.Member.Name, Role: string(p.Member.Role), Nav: nav(r, p), Body: body}
	var b bytes.Buffer
	if err := s.pages.byName[name].ExecuteTemplate(&b, "layout", v); err != nil {
		return fmt.Errorf("portal: page %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader has gone: nobody is left to tell
	return nil
}

// fragment renders the part of a page that is kept fresh.
func (s *server) fragment(name string, body any) (string, error) {
	var b bytes.Buffer
	err := s.pages.byName[name].ExecuteTemplate(&b, "fresh", body)
	return b.String(), err
}

// nav lists the pages that the policy lets the principal open.
func nav(r *http.Request, p access.Principal) []navItem {
	if p.Member.ID == "" {
		return nil
	}
	var items []navItem
	for _, i := range []struct {
		path, name string
		verb       access.Verb
	}{
		{"/", "Status", access.ReadUsers}, {"/import", "Add users", access.ChangeUsers},
		{"/connectors", "Connectors", access.ReadLink}, {"/members", "Members", access.ReadMembers},
	} {
		if may(p, i.verb) {
			items = append(items, navItem{Path: i.path, Name: i.name, Here: r.URL.Path == i.path})
		}
	}
	return items
}

func may(p access.Principal, v access.Verb) bool {
	_, err := p.May(v)
	return err == nil
}

// asset serves an embedded file. Its address carries its hash, so that it may be kept for ever.
func (p *pages) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	if r.URL.Query().Get("v") == a.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(a.content)
}
