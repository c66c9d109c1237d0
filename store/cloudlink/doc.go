// Package cloudlink keeps the state of the CloudLink-like service: clients, browser sessions, grants with their codes
// and tokens, and audit rows. It implements the interfaces of cloudlink/oauth.
//
// It owns the tables cloudlink_*, shares none with the rest of demarc, and decides nothing beyond what must be decided
// within a transaction. No compatibility promise.
package cloudlink
