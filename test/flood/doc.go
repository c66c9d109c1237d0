// Package flood holds the tests of what a server under attack does for good phones: floods of REGISTER, silent and slow
// connections, calls that are cancelled in the breath in which they begin. The floods run demarc's own binary as another
// process, in a control group of 512 MB where the machine allows a test to make one, with GOMEMLIMIT in any case; each test
// says which it was. A crowd of fifty thousand devices, of which each has an address of its own, comes back after the
// process was killed.
package flood
