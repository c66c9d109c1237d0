package calls

import (
	"encoding/json"
	"strconv"
	"time"

	"demarc/store"
	"demarc/telephony"
)

// legRow is a leg as it stands in the column record. Keys are added, never renamed: rows live longer than programs.
type legRow struct {
	Leg        int             `json:"leg"`
	Same       int             `json:"same,omitempty"` // what is as the call's and does not stand here
	AoR        string          `json:"aor,omitempty"`
	Instance   string          `json:"instance,omitempty"`
	Phone      string          `json:"phone,omitempty"`
	Remote     string          `json:"remote,omitempty"`
	SIPCallID  string          `json:"sip_call_id,omitempty"`
	StartedAt  int64           `json:"started_at,omitempty"`
	AnsweredAt int64           `json:"answered_at,omitempty"`
	EndedAt    int64           `json:"ended_at,omitempty"`
	Who        string          `json:"cause_who,omitempty"`
	Code       int             `json:"cause_code,omitempty"`
	Text       string          `json:"cause_text,omitempty"`
	Media      json.RawMessage `json:"media,omitempty"`
}

// What of a leg is nearly always as its call's: a third of a record's bytes.
const (
	sameStart = 1 << iota
	sameAnswer
	sameEnd
	sameCause
)

// mediaRow is how a leg's media was; times in microseconds.
type mediaRow struct {
	Sent        uint64 `json:"sent,omitempty"`
	Received    uint64 `json:"received,omitempty"`
	Lost        uint64 `json:"lost,omitempty"`
	LostThere   uint64 `json:"lost_there,omitempty"`
	Jitter      int64  `json:"jitter,omitempty"`
	JitterThere int64  `json:"jitter_there,omitempty"`
	RoundTrip   int64  `json:"round_trip,omitempty"`
	Refused     uint64 `json:"refused,omitempty"`
	Security    string `json:"security,omitempty"`
	Suite       string `json:"suite,omitempty"`
	Codec       string `json:"codec,omitempty"`
}

func appendLeg(b []byte, l *telephony.LegRecord, r *telephony.CallRecord) []byte {
	same := sameness(l, r)
	b = strconv.AppendInt(append(b, `{"leg":`...), int64(l.Leg), 10)
	b = appendNumber(b, "same", int64(same))
	b = appendAoR(b, "aor", l.AoR)
	b = appendText(b, "instance", l.Instance)
	b = appendText(b, "phone", l.Phone)
	b = appendText(b, "remote", l.Remote)
	b = appendText(b, "sip_call_id", l.SIPCallID)
	if same&sameStart == 0 {
		b = appendNumber(b, "started_at", store.Millis(l.StartedAt))
	}
	if same&sameAnswer == 0 {
		b = appendNumber(b, "answered_at", store.Millis(l.AnsweredAt))
	}
	if same&sameEnd == 0 {
		b = appendNumber(b, "ended_at", store.Millis(l.EndedAt))
	}
	if same&sameCause == 0 {
		b = appendCause(b, &l.Cause)
	}
	if l.Media != (telephony.MediaReport{}) {
		b = appendMedia(append(b, `,"media":`...), &l.Media)
	}
	return append(b, '}')
}

// sameness says what of a leg is as its call's.
func sameness(l *telephony.LegRecord, r *telephony.CallRecord) (same int) {
	for bit, as := range [...]bool{store.Millis(l.StartedAt) == store.Millis(r.StartedAt),
		store.Millis(l.AnsweredAt) == store.Millis(r.AnsweredAt), store.Millis(l.EndedAt) == store.Millis(r.EndedAt), l.Cause == r.Cause} {
		if as {
			same |= 1 << bit
		}
	}
	return same
}

func appendCause(b []byte, c *telephony.Cause) []byte {
	b = appendText(b, "cause_who", string(c.Who))
	b = appendNumber(b, "cause_code", int64(c.Code))
	return appendText(b, "cause_text", c.Text)
}

func appendMedia(b []byte, m *telephony.MediaReport) []byte {
	first := len(b)
	b = appendNumber(b, "sent", int64(m.Sent))
	b = appendNumber(b, "received", int64(m.Received))
	b = appendNumber(b, "lost", int64(m.Lost))
	b = appendNumber(b, "lost_there", int64(m.LostThere))
	b = appendNumber(b, "jitter", m.Jitter.Microseconds())
	b = appendNumber(b, "jitter_there", m.JitterThere.Microseconds())
	b = appendNumber(b, "round_trip", m.RoundTrip.Microseconds())
	b = appendNumber(b, "refused", int64(m.Refused))
	b = appendText(b, "security", m.Security)
	b = appendText(b, "suite", m.Suite)
	b = appendText(b, "codec", m.Codec)
	if len(b) == first {
		return append(b, "{}"...) // less than a microsecond of something
	}
	b[first] = '{' // where the comma before the first key stands
	return append(b, '}')
}

// record is the leg of a call.
func (r legRow) record(c *telephony.CallRecord) (telephony.LegRecord, error) {
	l := telephony.LegRecord{
		Leg: r.Leg, AoR: readAoR(r.AoR), Instance: r.Instance, Phone: r.Phone, Remote: r.Remote, SIPCallID: r.SIPCallID,
		StartedAt: store.Time(r.StartedAt), AnsweredAt: store.Time(r.AnsweredAt), EndedAt: store.Time(r.EndedAt),
		Cause: telephony.Cause{Who: telephony.Who(r.Who), Code: r.Code, Text: r.Text},
	}
	if r.Same&sameStart != 0 {
		l.StartedAt = c.StartedAt
	}
	if r.Same&sameAnswer != 0 {
		l.AnsweredAt = c.AnsweredAt
	}
	if r.Same&sameEnd != 0 {
		l.EndedAt = c.EndedAt
	}
	if r.Same&sameCause != 0 {
		l.Cause = c.Cause
	}
	if len(r.Media) == 0 {
		return l, nil
	}
	var m mediaRow
	if err := json.Unmarshal(r.Media, &m); err != nil {
		return l, err
	}
	l.Media = telephony.MediaReport{
		Sent: m.Sent, Received: m.Received, Lost: m.Lost, LostThere: m.LostThere,
		Jitter: time.Duration(m.Jitter) * time.Microsecond, JitterThere: time.Duration(m.JitterThere) * time.Microsecond,
		RoundTrip: time.Duration(m.RoundTrip) * time.Microsecond, Refused: m.Refused, Security: m.Security, Suite: m.Suite,
		Codec: m.Codec,
	}
	return l, nil
}
