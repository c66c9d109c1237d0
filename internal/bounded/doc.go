// Package bounded owns the map that cannot grow beyond a limit: what strangers can fill is kept in it.
//
// It knows nothing of what is kept. No compatibility promise.
package bounded
