package signal

import "demarc/telephony"

// Way is how a far end is reached. It names no connection: the flow is taken while it is open, and then the newest flow of
// the same phone. A leg's state holds it and moves with it to other nodes.
type Way struct {
	Node     string         // that holds the flow
	Flow     telephony.Flow // the way the last message came, or the binding's
	AoR      telephony.AoR  // whose phone it is; zero for a trunk
	Instance string         // which of his phones (RFC 5626 §4.1), or empty
	Contact  string         // the registered Contact URI, to find a phone without instance again; or empty
	Path     string         // values to be sent as Route, joined by commas (RFC 3327)
	Trunk    string         // the trunk's name; empty for a phone
}

// Target is one phone, or one trunk, that can be rung, with the ways to it, best first. One way is tried at a time, the
// next when that fails (RFC 5626 §7).
type Target struct {
	URI  string // the Request-URI: the Contact exactly as registered
	Q    int    // thousandths: those with the same are rung at once, lower ones later (RFC 3261 §16.6)
	Ways []Way  // empty for a phone that is asleep: a push wakes it, and it registers anew
	Name string // for people: what the phone calls itself
}
