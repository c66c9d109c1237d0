// Package e2e holds the tests that walk the whole path through real sockets: gateways in this process, the softphone
// SDK, a browser. It owns no code of the program. No compatibility promise.
package e2e
