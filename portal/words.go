package portal

import (
	"fmt"
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

// step is what support staff should do next about a user.
type step struct {
	Text string
	Sync bool // offer to sync now
	Code bool // offer a code for a device
}

// nextStep reads a status as support staff would. The text beside it, from provisioning, says why.
func nextStep(st provisioning.Status) step {
	switch st.State {
	case provisioning.Pending:
		return step{Text: "Sync to see whether the phone system has handed the credential over by now.", Sync: true}
	case provisioning.Inactive:
		return inactiveStep(st)
	case provisioning.SIPError:
		return errorStep(st.SIPCode)
	case provisioning.Registered:
		return step{Text: "Nothing: calls reach this user."}
	}
	return step{}
}

func inactiveStep(st provisioning.Status) step {
	if len(st.Devices) == 0 {
		return step{Text: "Give the user a way in: a code for the softphone, or a link for Linphone.", Code: true}
	}
	return step{Text: "Ask the user to open the softphone. If it is open, look at its network and at what it shows."}
}

// errorStep follows the SIP code to the one who can help.
func errorStep(code int) step {
	switch code {
	case 0:
		return step{Text: "No SIP answer came: look at the device's network, the certificate and the registrar's address."}
	case 401, 407:
		return step{
			Text: "Sync, then let the phone fetch its credential again: password, realm or algorithm differ.", Sync: true,
		}
	case 403:
		return step{Text: "Ask the PBX admin: the licence, a policy or a blocked address refuses this phone."}
	case 404:
		return step{Text: "Compare the extension here with the one on the PBX; then sync.", Sync: true}
	case 408, 504:
		return step{Text: "Ask the network team: the registrar's address or a firewall is in the way."}
	case 423:
		return step{Text: "Raise the registration time in the phone's settings: the registrar wants it longer."}
	case 480, 500, 503:
		return step{Text: "Wait, or look at the PBX: the registrar is busy or down. The phone tries the backup by itself."}
	case 488:
		return step{Text: "Compare the SRTP and codec settings of phone and PBX."}
	}
	return step{Text: "Look the code up with the PBX admin, then sync.", Sync: true}
}
