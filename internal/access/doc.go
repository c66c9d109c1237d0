// Package access owns who may do what: accounts and their members, one-time sign-in links, web sessions, principals
// and the policy, which is one table of actor × verb that denies by default (policy.go).
//
// It does not own devices or their tokens (provisioning does), HTTP, cookies or SQL. Of every bearer value it stores
// the hash alone. No compatibility promise.
package access
