// Command bench measures what demarc costs: CPU time of the server's process per operation, under a closed loop of clients,
// with the shipped defaults on. docs/performance.md says how to read the figures.
//
// It starts the servers itself, as separate processes on loopback, and runs the operations in turn, several rounds each.
package main
