// Package gateway assembles the process: it builds every role from the configuration, opens the listeners, mounts the
// HTTP handlers, and starts and stops everything in order. It is the only importer of everything.
//
// It owns the life cycle (named stop hooks, last in first out, each bounded), reload, health and metrics. It owns no rule
// of any feature. No compatibility promise.
package gateway
