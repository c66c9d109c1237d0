package portal

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"demarc/connector"
	"demarc/internal/timeline"
	"demarc/provisioning"
)

// ago tells a time as people say it; the exact one stands in the title beside it.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	switch {
	case d < 0:
		return "in " + span(-d)
	case d < 5*time.Second:
		return "just now"
	}
	return span(d) + " ago"
}

func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds())/5*5)
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

func stateWord(s provisioning.SyncState) string {
	switch s {
	case provisioning.Pending:
		return "Pending SIP credentials"
	case provisioning.Inactive:
		return "Inactive"
	case provisioning.Registered:
		return "Registered"
	case provisioning.SIPError:
		return "SIP error"
	}
	return string(s)
}

func linkWord(s connector.State) string {
	switch s {
	case connector.Linked:
		return "Linked"
	case connector.NeedsAuth:
		return "Needs a new authorisation"
	case connector.Unlinked:
		return "Not linked yet"
	}
	return string(s)
}

func kindWord(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func originWord(o provisioning.DeviceOrigin) string {
	switch o {
	case provisioning.OriginSDK:
		return "enrolled with a code"
	case provisioning.OriginDocument:
		return "fetched a provisioning link"
	case provisioning.OriginObserved:
		return "seen by the registrar, not enrolled"
	}
	return string(o)
}

func eventWord(k timeline.Kind) string {
	if k == timeline.SIPError {
		return "SIP error"
	}
	return strings.ReplaceAll(kindWord(string(k)), "_", " ")
}

// step is what the page offers to do next, beside provisioning's text, which says why and what to do.
type step struct {
	Text string
	Sync bool // offer to sync now
}

func nextStep(st provisioning.Status) step {
	switch st.State {
	case provisioning.Pending:
		return step{Sync: true}
	case provisioning.SIPError:
		// Only these are cured by the PBX's present credential or mapping; the others need somebody elsewhere.
		return step{Sync: st.SIPCode == 401 || st.SIPCode == 407 || st.SIPCode == 404}
	case provisioning.Inactive:
		if len(st.Devices) > 0 {
			return step{Text: "Ask the user to open the softphone. If it is open, look at its network and at what it shows."}
		}
	}
	return step{}
}

// reason leaves out the SIP code that a text begins with: the code stands beside it.
func reason(code int, text string) string {
	if code == 0 {
		return text
	}
	return strings.TrimLeft(strings.TrimPrefix(text, strconv.Itoa(code)), " .")
}
