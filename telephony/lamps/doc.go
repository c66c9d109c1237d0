// Package lamps lets watchers at one node see the calls of another: a desk phone's lamp shines whatever node the call lives at.
//
// A Follower knows which extensions are watched at its own node, tells each other node which, and keeps what they answer. A Teller answers: of
// the extensions that another node has named it tells the dialogs, at once and whenever they change. One question waits there until there is
// something to tell, so that nothing is asked in vain, and a node that is gone is one that answers nothing.
//
// It knows neither SIP nor how questions travel, and keeps nothing over a restart. No compatibility promise.
package lamps
