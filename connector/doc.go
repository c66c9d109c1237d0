// Package connector owns the link between an account and its CloudLink-like service: the app's installation, the
// connector, the OAuth authorisation (code, PKCE, state), the grants and their refresh.
//
// It holds rules, not SQL and not HTTP pages; tokens leave it only as an http.Client-shaped source for the sync.
// No compatibility promise.
package connector
