// Package wire walks the bytes of a SIP message once and tells where its parts are: the start line, the headers that
// framing, dispatch and REGISTER need, and the body. It is framer, guard and fast path in one; it refuses what would
// let two readers of the same bytes disagree (RFC 3261 §7, §18.3): duplicate single-instance headers, a bad
// Content-Length, a CSeq of another method, bare CR or LF.
//
// It does not interpret a message, knows no transaction and no socket. Every function is linear in its input and none
// panics on any input. Slices alias the bytes given. No compatibility promise.
package wire
