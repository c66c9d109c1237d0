// Package transport owns how the edge reads and writes its sockets: many datagrams with one system call, what is to be sent together
// until somebody's work is done, streams whose calls the scheduler is not told of, and what waits to be written to one peer. It is written for
// Linux.
//
// It knows bytes and addresses: what is SIP, whose flow it is and what may be answered is the edge's. No compatibility promise.
package transport
