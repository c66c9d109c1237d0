// Package rtp owns what is true of one stream of RTP: its packets and what kind they are, the count of a source, the
// renumbering of what is sent on, RTCP, telephone-events, and the SRTP of either direction.
//
//	file            what                                           after
//	packet.go       kinds of datagrams, the fixed header           RFC 3550 §5.1, RFC 7983, RFC 5761 §4
//	source.go       one source: order, repeats, loss, jitter       RFC 3550 §6.4.1, A.1, A.3, A.8
//	sender.go       one stream that we send, whoever feeds it      RFC 3550 §5.1, §6.4
//	rtcp.go         reports and feedback, read and written         RFC 3550 §6, RFC 4585 §6.1
//	suite.go        SDES suites and their keys                     RFC 4568 §6.2, RFC 6188, RFC 7714
//	srtp.go         protect and unprotect                          RFC 3711
//	event.go        digits                                         RFC 4733
//	stun.go         answers to ICE checks, as the lite side        RFC 8445 §2.5
//	dtls.go         keys by a handshake                            RFC 5764
//
// Nothing here opens a socket or takes a lock, and only a DTLS association has goroutines, until it is closed: whoever holds a value uses it from one goroutine at a time.
// No compatibility promise.
package rtp
