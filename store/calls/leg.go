package calls

import (
	"encoding/json"
	"strings"
	"time"

	"demarc/store"
	"demarc/telephony"
)

// legRow is a leg as it stands in the column legs. Keys are added, never renamed: rows live longer than programs.
type legRow struct {
	Leg        int             `json:"leg"`
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

func legRows(legs []telephony.LegRecord) []legRow {
	rows := make([]legRow, len(legs))
	for i, l := range legs {
		rows[i] = legRow{
			Leg: l.Leg, AoR: store.CleanText(aorText(l.AoR)), Instance: store.CleanText(l.Instance), Phone: store.CleanText(l.Phone), Remote: l.Remote,
			SIPCallID: store.CleanText(l.SIPCallID), StartedAt: store.Millis(l.StartedAt), AnsweredAt: store.Millis(l.AnsweredAt),
			EndedAt: store.Millis(l.EndedAt), Who: string(l.Cause.Who), Code: l.Cause.Code, Text: store.CleanText(l.Cause.Text),
			Media: mediaText(l.Media),
		}
	}
	return rows
}

func mediaText(m telephony.MediaReport) json.RawMessage {
	if m == (telephony.MediaReport{}) {
		return nil
	}
	text, _ := json.Marshal(mediaRow{ // numbers and text of our own: it cannot fail
		Sent: m.Sent, Received: m.Received, Lost: m.Lost, LostThere: m.LostThere, Jitter: m.Jitter.Microseconds(),
		JitterThere: m.JitterThere.Microseconds(), RoundTrip: m.RoundTrip.Microseconds(), Refused: m.Refused,
		Security: m.Security, Suite: m.Suite, Codec: store.CleanText(m.Codec),
	})
	return text
}

func (r legRow) record() (telephony.LegRecord, error) {
	l := telephony.LegRecord{
		Leg: r.Leg, AoR: readAoR(r.AoR), Instance: r.Instance, Phone: r.Phone, Remote: r.Remote, SIPCallID: r.SIPCallID,
		StartedAt: store.Time(r.StartedAt), AnsweredAt: store.Time(r.AnsweredAt), EndedAt: store.Time(r.EndedAt),
		Cause: telephony.Cause{Who: telephony.Who(r.Who), Code: r.Code, Text: r.Text},
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
