// Package registrar keeps the registrar's bindings, its change feed, and the subscriber directory that it authenticates
// from. It implements the interfaces of telephony/registrar, of cloudlink/pbx/core, and the feed that provisioning
// reads.
//
// HA1s are sealed. It decides nothing: the rules are in telephony/registrar and telephony/directory. No compatibility
// promise.
package registrar
