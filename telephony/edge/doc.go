// Package edge is where SIP from phones comes in: it owns the listeners (UDP, TCP, TLS, WS and WSS of RFC 7118), the flows, the guard in front
// of the parser, and dispatch. REGISTER goes to the Handler and its reply back over the same flow.
//
//	method                                what happens
//	REGISTER                              Handler.Register
//	SUBSCRIBE                             Subscriptions.Subscribe, when the handler is one; else 405
//	OPTIONS                               200, without state
//	ACK                                   absorbed
//	CANCEL                                481
//	other known methods                   405 with Allow
//	unknown methods                       501
//	malformed, but answerable             400, 416, 420, 505 or 513; a stream is closed after it
//	malformed, or over the limits         silence; a stream is closed
//
// Between messages it answers what keeps a way open (RFC 5626 §3.5): a double CRLF on streams, a STUN binding request over
// UDP, pings over WebSockets. A stream whose peer was told a Flow-Timer and is silent for longer is closed (§5.4).
//
// It decides nothing about who may register, and opens no connection itself. No compatibility promise.
package edge
