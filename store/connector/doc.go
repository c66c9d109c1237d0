// Package connector keeps app installs, connectors, links under way and grants in the store, behind the interfaces of
// the rules package of the same name.
//
// It owns the SQL and the sealing of tokens, and decides nothing. No compatibility promise.
package connector
