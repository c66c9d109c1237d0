package sip

import (
	"demarc/telephony"
	"demarc/telephony/wire"
)

// Link is a connection between two nodes, as the messages of calls see it: whoever has the connection tells.
type Link interface {
	// Ready says that the connection stands. write takes one whole message, and may block; cut ends the connection, and does not.
	Ready(write func([]byte) error, cut func())
	// Request takes a request that came over the connection.
	Request(m *wire.Message, r Routed)
	// Response takes a response, and reports whether it was to a request of a call.
	Response(m *wire.Message) bool
	// Gone says that the connection has ended, or never stood. A second time counts for nothing.
	Gone()
}

// Routed is what the topmost Route of a request between nodes says.
type Routed struct {
	Node string         // that sent the request
	Flow telephony.Flow // the phone's: at this node; when it asks, at the other
	Asks bool           // the phone has sent the request, and its call is here
}
