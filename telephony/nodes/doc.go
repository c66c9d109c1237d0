// Package nodes is how a request reaches a phone whose connection another node holds: a SIP listener between nodes with
// mutual TLS, and one connection to each node that is needed.
//
// The sending node puts a flow token into a Route; the node that is asked opens it and sends the request over that flow,
// with a client transaction of its own, and its response back. It only forwards: what is asked for stays with the sender.
//
//	the token is not ours             403
//	the flow is gone                  430 (RFC 5626 §5.3.1): the sender tries the phone's next flow
//	no answer of the phone            408
//	no hop left                       483
//
// Requests of calls (calls.go) go to whoever has the flows, in the order of the wire: it keeps a transaction on either side, so
// that a CANCEL and an ACK find their INVITE. A Route with "asks" leads the other way, from a phone to its call here. Where
// nobody takes calls they get 501.
//
// A MESSAGE to a node itself, without a Route, is a question about a subject, and its answer stands in the response:
//
//	trace    what the node remembers of a phone's SIP messages
//
// It owns no flow and decides nothing about who may send. No compatibility promise.
package nodes
