package telephony

import "fmt"

// Cause says why a leg or a call ended, or was refused.
type Cause struct {
	Who  Who
	Code int    // SIP status code; 200 for an ordinary end
	Text string // plain words for people, with what to do next where something is to be done
}

// Who ended or refused something.
type Who string

// Who it may have been.
const (
	Caller  Who = "caller"
	Callee  Who = "callee"
	Network Who = "network" // a connection, a time-out, missing media
	Switch  Who = "switch"  // demarc by its rules, limits included
	Person  Who = "person"  // somebody by API or command line
)

// String returns "who code text".
func (c Cause) String() string { return fmt.Sprintf("%s %d %s", c.Who, c.Code, c.Text) }
