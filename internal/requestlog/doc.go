// Package requestlog owns the one line that is logged per HTTP request, with its correlation id and without secrets:
// never a query, a header or a body, and of a path no one-time token.
//
// It does not own routes or errors. No compatibility promise.
package requestlog
