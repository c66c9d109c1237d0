// Package websocket owns WebSockets that carry SIP (RFC 7118): the HTTP upgrade, one SIP message in each WebSocket message, pings
// and the goodbye.
//
// It reads no SIP, and its caller sets the deadlines for reads: how long a peer may be silent depends on who it is. No
// compatibility promise.
package websocket
