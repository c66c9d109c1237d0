// Package flood holds the tests of what a server process under attack does for good phones: floods of REGISTER, silent and
// slow connections. They run demarc's own binary as another process with a memory limit of the Go runtime
// (GOMEMLIMIT=400MiB) and read its resident memory from /proc: a control group would need rights that a test should not have.
package flood
