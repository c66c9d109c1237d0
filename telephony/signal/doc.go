// Package signal holds what the edge and the exchange tell each other about calls: requests, responses, transactions, and
// ways to a far end. The edge owns everything that is due on the wire by itself; the exchange owns every decision.
//
//	the edge does by itself                          the exchange decides
//	100 to INVITE, 200 to CANCEL, 481 to what        every other response, also to INVITE after a CANCEL
//	belongs to nothing
//	retransmission of requests and responses, of     when to send, and what
//	2xx to INVITE until their ACK, of ACKs to 2xx
//	ACK to a final non-2xx response                  ACK to a 2xx, with or without a body
//	CANCEL only after a provisional response         to cancel
//	RSeq, retransmission until PRACK                 that a provisional response is to be reliable
//	200 to a PRACK that holds nothing                the response to one with a body, which is a Request too
//	Via, Max-Forwards, Content-Length, challenges    all other headers
//
// It does nothing itself. No compatibility promise.
package signal
