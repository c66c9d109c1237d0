// Package telephony holds the nouns of the field that every telephony package speaks: the address of record, the
// transport, and the change of a registration as the change feed carries it.
//
// It is pure: no socket, no store, no SIP library. No compatibility promise.
package telephony
