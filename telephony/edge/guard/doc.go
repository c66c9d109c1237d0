// Package guard owns the books on strangers: how many connections there are and who has to go for the next one, and what
// sources and devices have earned by proving who they are, by guessing or by asking.
//
// It is told what happened and says what may happen; it sees no message, answers nobody and closes nothing by itself. All of
// it is in bounded memory, and every method may be called by several goroutines. No compatibility promise.
package guard
