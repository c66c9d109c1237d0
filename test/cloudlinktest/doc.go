// Package cloudlinktest runs the CloudLink-like service on a loopback TLS listener with an in-memory PBX, for tests of
// the service and of what talks to it. It owns no assertions of its own beyond "this step must work".
// No compatibility promise.
package cloudlinktest
