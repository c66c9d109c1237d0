// Package api owns the JSON API: every route under /v1, its OpenAPI 3.1 description, the translation of errors into
// RFC 9457 problems, and two plain downloads beside it, /provision/{token} and /ca.pem.
//
// It does not own rules: who may do what is internal/access's policy, what happens is provisioning's and connector's.
// Devices come with a bearer token, members with the portal's session cookie, the operator over a unix socket. What
// belongs to another user or account, and what does not exist, are the same 404. One file holds one feature's routes.
//
// The routes are promised to API users; the Go API has no compatibility promise.
package api
