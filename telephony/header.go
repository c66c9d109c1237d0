package telephony

// Header is one header line of a SIP message.
type Header struct{ Name, Value string }
