package edge

import "sync/atomic"

// ReadRegister lets the tests reach the reader without a socket.
var ReadRegister = readRegister

// FailAt lets the edge panic at a point of its work, once.
func (e *Edge) FailAt(point string) {
	var failed atomic.Bool
	fail := func(where string) {
		if where == point && !failed.Swap(true) {
			panic("injected")
		}
	}
	e.failpoint.Store(&fail)
}

// ReadSubscribe lets the tests reach the reader without a socket.
var ReadSubscribe = readSubscribe

// STUNReply lets the tests reach the STUN reader without a socket.
var STUNReply = stunReply

// Transactions returns how many server transactions there are.
func (e *Edge) Transactions() int { return e.servers.Len() }
