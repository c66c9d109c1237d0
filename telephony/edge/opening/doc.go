// Package opening lets requests of calls wait for connections to proxies: those of phones behind a proxy whose own connection has closed
// (ADR 13). It opens nothing and sends nothing itself, and knows no flow of the edge. No compatibility promise.
package opening
