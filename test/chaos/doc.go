// Package chaos holds the test of calls when everything happens at once: many simulated phones over UDP, TCP and TLS do
// whatever phones do, at any time, to a whole gateway in a process of its own, while datagrams are lost, doubled, late and out of
// order, connections break, and the gateway is stopped, or killed, and started.
//
// It goes by rounds. In each the phones are wild first; then the network is good and they only answer, until every INVITE has
// its final response and phones and gateway can be asked which dialogs stand; then they fall silent, until the longest timer
// has run out and nothing may be left. The first round's choices follow a fixed seed, those of the next ones a random one,
// which is printed. The SIP timers are a tenth of the usual ones. Where the machine gives this process or the gateway no time for a
// moment, what was under way then proves nothing, and is let go.
//
//	DEMARC_CHAOS_FOR=20m     how long rounds go on (with -timeout 30m); else there are two short ones
//	DEMARC_CHAOS_SEED=4711   the seed of the first round after the fixed one
package chaos
