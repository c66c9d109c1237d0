// Package core is the PBX driver of the built-in core: the registrar's own directory, seen as a phone system by the
// CloudLink-like service.
//
// It keeps nothing itself and knows nothing of HTTP. No compatibility promise.
package core
