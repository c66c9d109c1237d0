package server

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"demarc/cloudlink"
)

// Bounds of lists.
const (
	topDefault = 100
	topMost    = 500
	skipMost   = 10_000 // whoever goes further follows next
)

// list is what the query of a list asks for.
type list struct {
	top, skip     int
	after         string // from $skiptoken: the last id of the page before
	field, equals string // from $filter
	expand        bool   // $expand=sipendpoints
	raw           url.Values
}

// filterForm is all of OData's filters that is taken here.
var filterForm = regexp.MustCompile(`^(email|extension) eq '((?:[^']|'')*)'$`)

// parseList reads the query of a list; what it does not know it refuses, so that no filter is ignored in silence.
func parseList(r *http.Request) (list, error) {
	q := list{top: topDefault}
	var err error
	if q.raw, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return q, invalid("query", "the query cannot be read")
	}
	for name, values := range q.raw {
		if len(values) != 1 {
			return q, invalid(clip(name, 32), "is given more than once")
		}
		if err := q.set(name, values[0]); err != nil {
			return q, err
		}
	}
	return q, nil
}

func (q *list) set(name, value string) (err error) {
	switch name {
	case "$top":
		q.top, err = number(name, value, 1, topMost)
	case "$skip":
		q.skip, err = number(name, value, 0, skipMost)
	case "$skiptoken":
		q.after, err = openToken(value)
	case "$expand":
		if q.expand = value == "sipendpoints"; !q.expand {
			err = invalid(name, "only sipendpoints can be expanded")
		}
	case "$filter":
		m := filterForm.FindStringSubmatch(value)
		if m == nil || !plain(m[2]) {
			return invalid(name, "only email eq '…' and extension eq '…' are taken")
		}
		q.field, q.equals = m[1], strings.ReplaceAll(m[2], "''", "'")
	default:
		err = invalid(clip(name, 32), "is not known here: use $top, $skip, $filter, $expand, or follow next")
	}
	return err
}

func number(name, value string, least, most int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return 0, invalid(name, "must be a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
	return n, nil
}

func sealToken(after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte("1:" + after))
}

func openToken(token string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	after, ok := strings.CutPrefix(string(b), "1:")
	if err != nil || !ok || !plain(after) {
		return "", invalid("$skiptoken", "is not one that this service made: follow _links.next, or start over")
	}
	return after, nil
}

// plain reports whether a text may be handed to a PBX driver or the store: short, without control characters.
func plain(s string) bool {
	return len(s) <= 256 && strings.ToValidUTF8(s, "") == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// links of a page: next continues behind the page's last id.
func (s *Server) linksOf(r *http.Request, q list, last string) cloudlink.Links {
	self := s.issuer + r.URL.EscapedPath()
	l := cloudlink.Links{Self: self}
	if r.URL.RawQuery != "" {
		l.Self += "?" + r.URL.RawQuery
	}
	if last != "" {
		next := url.Values{}
		for name, values := range q.raw {
			next[name] = values
		}
		next.Del("$skip")
		next.Set("$skiptoken", sealToken(last))
		l.Next = self + "?" + next.Encode()
	}
	return l
}

// fetch reads up to limit items behind after, in a stable order of their ids.
type fetch[T any] func(ctx context.Context, after string, limit int) ([]T, error)

// pageOf walks a source until the page is full. Pages are cut by id: what comes and goes between two of them neither
// shifts the rest nor shows anything twice.
func pageOf[T any](ctx context.Context, q list, source fetch[T], id func(T) string, keep func(T) bool) (
	page []T, last string, err error) {
	after, skip := q.after, q.skip
	for {
		want := topMost
		if q.field == "" {
			want = min(want, skip+q.top-len(page)+1)
		}
		items, err := source(ctx, after, want)
		if err != nil {
			return nil, "", err
		}
		for _, item := range items {
			switch {
			case !keep(item):
			case skip > 0:
				skip--
			case len(page) == q.top: // one more than fits: there is a next page
				return page, id(page[len(page)-1]), nil
			default:
				page = append(page, item)
			}
		}
		if len(items) < want {
			return page, "", nil
		}
		after = id(items[len(items)-1])
	}
}

// fixed is a source of few items that are all at hand, ordered by id.
func fixed[T any](items []T, id func(T) string) fetch[T] {
	return func(_ context.Context, after string, limit int) ([]T, error) {
		from := 0
		for from < len(items) && id(items[from]) <= after {
			from++
		}
		return items[from:min(len(items), from+limit)], nil
	}
}

func every[T any](T) bool { return true }

// sendPage answers with one page of a list.
func sendPage[T any](s *Server, w http.ResponseWriter, r *http.Request, q list, items []T, last string) {
	s.send(w, r, http.StatusOK, cloudlink.Page(items, s.linksOf(r, q, last)))
}
