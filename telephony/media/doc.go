// Package media carries the media of calls: it owns the ports, the sockets and the loops that read them, learns where each
// phone is, protects what is sent, and counts how it went.
//
//	file          what
//	media.go      Media: opens, agrees and closes legs; which leg hears which
//	ports.go      the pool of port pairs
//	address.go    the address that a phone is told
//	loop.go       one loop per two cores: works off what has come, and looks after its legs every second; poller.go waits
//	socket.go     one port; syscalls.go what it asks of the kernel
//	leg.go        one leg; stream.go one of its media lines
//	packet.go     the way of a packet
//	learn.go      where the phone is
//	checks.go     ICE: the phone's checks, and restarts
//	session.go    DTLS, which those lead to; tunnel.go between its goroutine and the loop
//	control.go    RTCP
//	play.go       what is played, and the clock of it; sounds.go where it comes from; mix.go conferences
//	watch.go      time-out, one-way audio
//
// A leg belongs to one loop, and legs that hear each other to the same one, so that a packet takes no lock: the loop holds its
// own while it works off what has come. Callers take it for the moment of a change.
//
// What a call is, who may hear whom, and what is said in SDP is decided elsewhere. Sockets die with the process, and the ports are
// free again; those that another process holds are passed over. No compatibility promise.
package media
