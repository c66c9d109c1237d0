// Package registrar applies the rules of RFC 3261 §10 and RFC 5626: who may register, which bindings stand, when they
// end. It authenticates from its own directory, saves through Bindings before it answers, and tells of every change by
// the feed rows saved in the same transaction.
//
// It has no socket and no SQL. No compatibility promise.
package registrar
