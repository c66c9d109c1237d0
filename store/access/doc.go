// Package access keeps accounts, members, sign-in links and web sessions in the store, for internal/access.
//
// It owns the tables sign_in_link and web_session and shares account and member with other features. It knows no rule
// but the ones that a transaction must hold. No compatibility promise.
package access
