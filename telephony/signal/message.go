package signal

import (
	"strings"

	"demarc/telephony"
)

// TxID names a transaction at this node, from either side. It is never used again within the life of a process; zero is
// none.
type TxID uint64

// Message is what requests and responses have in common when they come in. Strings do not alias a receive buffer.
type Message struct {
	CallID         string
	From, To       string // name-addr with parameters, as it stands
	FromTag, ToTag string
	CSeq           uint32
	Contact        string             // the URI of the first value, or empty
	RecordRoute    []string           // values in the order of the message
	Headers        []telephony.Header // all others but Via, Route, Content-Length and credentials, in order, unfolded, full names
	ContentType    string
	Body           []byte
}

// Header returns the first value of a header by its full name, whatever the case, or nothing.
func (m *Message) Header(name string) string {
	for _, h := range m.Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Values returns the values of every line of a header, in order; a line may hold several.
func (m *Message) Values(name string) []string {
	var all []string
	for _, h := range m.Headers {
		if strings.EqualFold(h.Name, name) {
			all = append(all, h.Value)
		}
	}
	return all
}

// Has reports whether a header that lists tokens, as Supported, Require and Allow do, has the token.
func (m *Message) Has(name, token string) bool {
	for i := range m.Headers {
		if h := &m.Headers[i]; strings.EqualFold(h.Name, name) && listed(h.Value, token) {
			return true
		}
	}
	return false
}

// listed reports whether a list with commas holds a token.
func listed(list, token string) bool {
	for value := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(value), token) {
			return true
		}
	}
	return false
}
