// Package sip is demarc's SIP stack over github.com/emiago/sipgo/sip, of which it is the only importer and uses the
// parser alone: responses built around a request, server transactions (RFC 3261 §17.2), and Conn, the client side of
// one flow with its client transactions (§17.1.2), keep-alives (RFC 5626 §4.4.1) and answers to incoming requests.
//
// It owns no listener and no rule about who may do what. No compatibility promise.
package sip
