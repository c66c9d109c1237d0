// Package bounded owns the map and the set of hashes that cannot grow beyond a limit: what strangers can fill is kept in them.
//
// It knows nothing of what is kept. No compatibility promise.
package bounded
