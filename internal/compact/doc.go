// Package compact keeps much in little memory: a hundred thousand phones are to fit into a small machine. A Slab holds values in numbered
// slots without a pointer to each, Shared what many of them have in common, and Kept the rest of one as a text, which is written with the
// Append functions here and in encoding/binary, and read by a Reader. An Alarm knows which slots to look at when. It knows nothing of phones. Reading changes nothing, so that many may
// read at the same time; writing is for one. No compatibility promise.
package compact
