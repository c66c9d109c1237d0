// Package states says what may follow what in a call: a dialog (RFC 3261 §12), offer and answer of a leg (RFC 3264, RFC 6337), and the call
// itself are a table each, of states and of what can happen in them. It knows nothing of messages, phones or time, which are the step's.
// docs/state-machines.md is drawn from here. No compatibility promise.
package states
