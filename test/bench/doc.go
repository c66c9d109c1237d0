// Command bench measures what demarc costs beside its peers, and prints the tables of docs/performance.md, which says how to read them:
// CPU time of the server's processes per operation, under a closed loop of clients, with the shipped defaults on.
//
// It owns the peers' set-up, the load and the arithmetic. It starts every server as a process of its own on loopback, and runs the
// operations in turn, several rounds each.
package main
