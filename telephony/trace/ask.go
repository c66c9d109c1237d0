package trace

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"

	"demarc/telephony"
)

// Question asks a node what it remembers. Nodes send it to each other as JSON, and Page back: fields may be added, never
// renamed.
type Question struct {
	Domain string // of the account; nothing of another one is told
	Of     string // an extension, user@domain, or a Call-ID
	After  uint64 // only what has a higher Seq
}

// Page is one answer, oldest first.
type Page struct {
	Entries []Entry
	More    bool // there is more after the last one
	Off     bool // the node remembers nothing at all
}

// A page travels between nodes in the body of one SIP message.
const (
	pageBytes     = 56 << 10
	entryOverhead = 512
)

// Find answers a question: by Call-ID within the domain, else by AoR. An AoR of another domain finds nothing.
func (r *Recorder) Find(q Question) Page {
	if r == nil {
		return Page{Off: true}
	}
	found := r.Call(q.Domain, q.Of, q.After)
	if len(found) == 0 {
		aor, err := telephony.ParseAoR(q.Of)
		if err != nil {
			aor = telephony.NewAoR(strings.TrimPrefix(q.Of, "sip:"), q.Domain)
		}
		if aor.Domain == q.Domain {
			found = r.Of(aor, q.After)
		}
	}
	size := 0
	for i, e := range found {
		if size += len(e.Text)*4/3 + entryOverhead; size > pageBytes && i > 0 {
			return Page{Entries: found[:i], More: true}
		}
	}
	return Page{Entries: found}
}

// Cursor says how far the messages of each node have been read: the Seq of its last one.
type Cursor map[string]uint64

// ErrCursor says that a text is no cursor.
var ErrCursor = errors.New("trace: not a cursor")

// ParseCursor reads what String wrote; an empty text is the beginning.
func ParseCursor(text string) (Cursor, error) {
	c := Cursor{}
	if text == "" {
		return c, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(raw, &c) != nil || c == nil {
		return nil, ErrCursor
	}
	return c, nil
}

// String returns the cursor as an opaque text.
func (c Cursor) String() string {
	raw, _ := json.Marshal(map[string]uint64(c)) // of numbers by name: it cannot fail
	return base64.RawURLEncoding.EncodeToString(raw)
}
