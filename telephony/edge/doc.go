// Package edge is where SIP from phones comes in: it owns the listeners (UDP, TCP, TLS, WS and WSS of RFC 7118), the flows, the guard in front
// of the parser, and dispatch. REGISTER goes to the Handler and its reply back over the same flow.
//
//	method                                what happens
//	REGISTER                              Handler.Register
//	SUBSCRIBE                             Subscriptions.Subscribe, when the handler is one; else 405
//	INVITE, BYE, UPDATE, INFO, REFER,     Calls.Take, when the handler is one (telephony/signal says what the edge does
//	NOTIFY, and what belongs to them:     by itself); else 405, and 481 for CANCEL. INVITE and REFER outside of a dialog are
//	ACK, CANCEL, PRACK                    authenticated first; the others are refused there with 481
//	OPTIONS                               200, without state; within a dialog as BYE, for who asks wants to know whether it stands
//	other known methods                   405 with Allow
//	unknown methods                       501
//	malformed, but answerable             400, 416, 420, 505 or 513; a stream is closed after it
//	malformed, or over the limits         silence; a stream is closed
//
// Between messages it answers what keeps a way open (RFC 5626 §3.5): a double CRLF on streams, a STUN binding request over
// UDP, pings over WebSockets. A stream whose peer was told a Flow-Timer and is silent for longer is closed (§5.4).
//
// Calls are put together so: the handler that Serve gets embeds the registrar, which authenticates and knows where phones
// are, and the exchange, whose Take it is; the exchange gets Edge.Signalling to answer and to send. A listener's messages are
// handled in the order of the wire by its one reader, and each is handed over before the next is looked at: there is no
// goroutine per message. Only a request whose sender memory does not know waits for the directory, and what belongs to its
// transaction waits with it.
//
// Below it stand the parts that know no flow: guard, handshake, opening, read, stun, transport and websocket.
//
// It decides nothing about who may register, and opens no connection itself but to a configured proxy whose own has closed,
// for the phones behind it. No compatibility promise.
package edge
