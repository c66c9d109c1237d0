// Package account holds the nouns that say whose a thing is and who acts: the account (the tenant), its members and
// their roles, and Secret, the type of everything that must never be printed.
//
// It owns no storage and no rules. No compatibility promise.
package account
