// Package exchange runs the calls of a node: it keeps them, finds the call that a message belongs to, steps it on one of a
// few workers, and carries out what the step says. Each call stays on its worker, so that no call needs a lock, and no call
// has a goroutine of its own.
//
//	from the edge     Take          a request, response, CANCEL, ACK …: queued for the call's worker
//	from the media    Media         sound stopped, a digit, …
//	from people       Hangup, Transfer, Conference, Live, Dialogs
//	to                Signalling, Media, Paths, Contacts, Next, Waker, History, Timeline: the interfaces of ports.go
//
// What a step asks to know at once (ports, names, targets) is answered in the same turn. Queues are bounded: requests within
// dialogs go before new calls. History is written behind, and never waited for. A panic in a step ends that call alone.
//
// It does not know how calls work (telephony/callswitch does), nor sockets. No compatibility promise.
package exchange
