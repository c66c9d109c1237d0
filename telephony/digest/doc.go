// Package digest is the server side of SIP digest authentication (RFC 3261 §22, RFC 7616, RFC 8760): HA1 hashes,
// challenges with signed nonces, and the verification of answers.
//
// It knows no users and no sockets: the caller looks the HA1 up. No compatibility promise.
package digest
