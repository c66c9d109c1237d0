// Package location keeps the bindings of AoRs in little memory, for there may be hundreds of thousands: what many have in common once, the
// rest as one text. What is put comes out again with times to the millisecond, as from the store. It knows no rules, no clock and no lock. No
// compatibility promise.
package location
