// Package events is the notifier of RFC 6665: who may watch what, how long a subscription lasts, and the documents that
// its NOTIFYs carry.
//
//	package           document                           who may watch
//	reg               application/reginfo+xml            the user himself (RFC 3680)
//	message-summary   application/simple-message-summary the user himself (RFC 3842)
//	dialog            application/dialog-info+xml        everybody of the same account (RFC 4235)
//
// The subscriber is the user who authenticates. The answers to SUBSCRIBE:
//
//	package not known here                  489 with Allow-Events
//	document not accepted                   406
//	no credentials, or wrong ones           401 with a challenge
//	somebody else's, another account's      403; 404 when there is no such user in the domain
//	Expires below the minimum               423 with Min-Expires
//	unknown dialog, as after a restart      481: the phone subscribes anew (RFC 6665 §4.1.2.2)
//	CSeq not above the last                 500
//	too many of one user, or in all         403, 503 with Retry-After
//	otherwise                               200, and then a NOTIFY with the state
//
// Subscriptions live in memory, at the node whose flow they came over. A NOTIFY holds the whole state; changes that come
// while one is under way or too soon after it are told together. A NOTIFY that is refused, or not answered by timer F, ends its
// subscription and is told to the watcher's timeline; one whose answer names a time is sent again then, with what is so by
// then (RFC 6665 §4.2.2). The package has no socket. No compatibility promise.
package events
