// Package qrcode owns the two renderings of a link as a QR code: a PNG for pages and the JSON API, and half-block
// characters for a terminal.
//
// It does not know what the link says. No compatibility promise.
package qrcode
