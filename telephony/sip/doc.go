// Package sip is demarc's SIP stack: responses built around a request, server transactions (RFC 3261 §17.2), and Conn,
// the client side of one flow with its client transactions (§17.1.2), keep-alives (RFC 5626 §4.4.1) and answers to
// incoming requests.
//
// Clients are client transactions over flows that others own.
//
// It reads messages by telephony/wire. github.com/emiago/sipgo/sip, of which this package is the only importer, is the
// second reader that the scan is held against; it reads REGISTER worse (differential_test.go says where), and comes in
// where whole messages are rewritten. There is no listener here and no rule about who may do what. No compatibility
// promise.
package sip
