// Package callswitch is a back-to-back user agent as a pure step: what a call does next, given what happened. Step is
// deterministic and does no I/O; random values, ports, keys and the time arrive in events, and what is to be done leaves as
// commands. It owns the rules of calls, legs and their offers; it does not own sockets, transactions, timers, media or where
// a call goes: those are asked for.
//
// A call is a list of legs. Each leg is one dialog (RFC 3261 §12) with its own offers and answers (RFC 3264); nothing of one
// leg is seen on another but what is written here: who calls, an allow-list of headers, direction and codec of the media,
// and why something ended. What may follow what is three tables of package states.
//
//	event (of)                              from      answered by commands
//	Invited                                 edge      Prepare, Route; or Reply when refused
//	Prepared, Routed                        at once   Send, Reply, Prepare, Learn …
//	signal.Request, Response, Cancel, Ack,  edge      Send, Reply, Cancel, Agree, Relay, Play …
//	AckMissing, Pracked
//	Tick, at Call.Deadline()                exchange  Cancel, Send
//	Hangup, Transfer, Merge, Lost           people    Cancel, Send, Reply
//	Release, Adopt, Adopted                 exchange  a leg changes calls
//	Noticed                                 media     Send
//
// No compatibility promise.
package callswitch
