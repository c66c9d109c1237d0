// Package encoding writes all that a call is as text, and reads it again, in this version of the program or a later one: by that another
// process takes a call over. Each field is named once for both directions. A field that is new in a call, and belongs to more than one
// process, is new here too, with a version; the tests of callswitch find one that was forgotten. No compatibility promise.
package encoding
