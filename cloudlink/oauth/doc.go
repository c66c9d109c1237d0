// Package oauth owns the rules of the CloudLink-like service's authorisation server: which authorisation requests are
// sound, what a code and a refresh token may be used for, how tokens rotate, and when a family of tokens ends.
//
// It does not own HTTP, pages, passwords or SQL: cloudlink/server speaks HTTP, store/cloudlink keeps what Grants,
// Clients, Sessions and Audit ask for. Codes and tokens are random, opaque, and stored as hashes alone.
//
//	code          5 minutes, once, with PKCE S256 (RFC 7636); a second use ends its grant (RFC 6749 §4.1.2)
//	refresh token rotates at each use (RFC 9700 §4.14.2); its predecessor gives the same pair again for 30 s, as long
//	              as the pair's own refresh token was not used (the answer was lost); any other reuse ends the grant
//	access token  ends by time, by revocation, and with its grant
//
// No compatibility promise.
package oauth
