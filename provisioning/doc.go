// Package provisioning puts a company's people on the integration: integrated users, the sync that pulls their SIP
// endpoints and credentials from the CloudLink-like service, devices and their enrolment, and the sync state that tells
// support staff why a phone does not work.
//
// It holds rules, not SQL, HTTP or SIP; it never authenticates a phone (the registrar does, from its own directory).
// The states and their transitions stand in state.go. No compatibility promise.
package provisioning
