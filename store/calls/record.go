package calls

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"demarc/store"
	"demarc/telephony"
)

// recordRow is the column record: what of a call is only read. Keys are added, never renamed.
type recordRow struct {
	Caller     string   `json:"caller,omitempty"`
	CallerName string   `json:"caller_name,omitempty"`
	Dialled    string   `json:"dialled,omitempty"`
	StartedAt  int64    `json:"started_at,omitempty"`
	AnsweredAt int64    `json:"answered_at,omitempty"`
	Who        string   `json:"cause_who,omitempty"`
	Code       int      `json:"cause_code,omitempty"`
	Text       string   `json:"cause_text,omitempty"`
	Legs       []legRow `json:"legs"`
}

// appendRecord writes the column record, as the JSON of a recordRow. Every call is written like this, and a reflecting encoder
// took longer than the rest of its row.
func appendRecord(b []byte, r *telephony.CallRecord) []byte {
	first := len(b)
	b = appendAoR(b, "caller", r.Caller)
	b = appendText(b, "caller_name", r.CallerName)
	b = appendText(b, "dialled", r.Dialled)
	b = appendNumber(b, "started_at", store.Millis(r.StartedAt))
	b = appendNumber(b, "answered_at", store.Millis(r.AnsweredAt))
	b = appendCause(b, &r.Cause)
	b = append(b, `,"legs":[`...)
	for i := range r.Legs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLeg(b, &r.Legs[i], r)
	}
	b[first] = '{' // where the comma before the first key stands
	return append(b, ']', '}')
}

// readRecord reads the column record into a call whose other columns are read.
func readRecord(text string, c *telephony.CallRecord) error {
	var r recordRow
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return fmt.Errorf("call %s: %w", c.ID, err)
	}
	c.Caller, c.CallerName, c.Dialled = readAoR(r.Caller), r.CallerName, r.Dialled
	c.StartedAt, c.AnsweredAt = store.Time(r.StartedAt), store.Time(r.AnsweredAt)
	c.Cause = telephony.Cause{Who: telephony.Who(r.Who), Code: r.Code, Text: r.Text}
	for _, l := range r.Legs {
		leg, err := l.record(c)
		if err != nil {
			return fmt.Errorf("call %s: leg %d: %w", c.ID, l.Leg, err)
		}
		c.Legs = append(c.Legs, leg)
	}
	return nil
}

// appendNumber and appendText append a key that has a value, after a comma.
func appendNumber(b []byte, key string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(appendKey(b, key), n, 10)
}

func appendText(b []byte, key, text string) []byte {
	if text == "" {
		return b
	}
	b = appendKey(b, key)
	if !plain(text) {
		quoted, _ := json.Marshal(store.CleanText(text)) // a text cannot fail
		return append(b, quoted...)
	}
	return append(append(append(b, '"'), text...), '"')
}

// appendAoR appends user@domain, and nothing for a trunk.
func appendAoR(b []byte, key string, a telephony.AoR) []byte {
	if !plain(a.User) || !plain(a.Domain) || a.IsZero() {
		return appendText(b, key, aorText(a))
	}
	b = append(append(appendKey(b, key), '"'), a.User...)
	return append(append(append(b, '@'), a.Domain...), '"')
}

// plain reports whether a text stands in JSON as it is.
func plain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func appendKey(b []byte, key string) []byte {
	return append(append(append(b, ',', '"'), key...), '"', ':')
}

// aorText is how an AoR stands in a column; a trunk's has none.
func aorText(a telephony.AoR) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

func readAoR(text string) telephony.AoR {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return telephony.AoR{}
	}
	return telephony.AoR{User: text[:at], Domain: text[at+1:]}
}
