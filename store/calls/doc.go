// Package calls keeps calls in the store: their history, and of those that last the sealed state that a node needs to end
// them, or to go on with them, after a restart.
//
// Writes are batches that the exchange sends behind the calls. A call that has ended is never written again, and an older
// owner never writes over a newer one: (epoch, node) fences. No compatibility promise.
package calls
