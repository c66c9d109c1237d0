// Package transaction is the transactions of calls (RFC 3261 §17, RFC 6026, RFC 3262): UAS those of requests that come, UAC those of
// requests that go. There are many, so that they are pooled, bounded, and sharded by Call-ID or number; their timers stand on one wheel, and
// what only absorbs retransmissions leaves an echo without pointers. Flows belong to others, who say by Ways and Peer how to send. Requests
// outside of calls go by sip.Clients and sip.Transactions. No compatibility promise.
package transaction
