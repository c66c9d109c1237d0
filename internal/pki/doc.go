// Package pki keeps the certificates that demarc shows, and says by which rules it speaks TLS.
//
//	Source      where the certificate comes from
//	Authority   a private authority of our own, made at the first start, so that nobody has to help
//	Files       two files that somebody else renews; read again when they change
//	ACME        a public (or a company's) authority that is asked by RFC 8555
//
// Policy turns a Source into the settings of one listener. No policy asks a client for a certificate: on the phones'
// ports that would lock out real phones. No compatibility promise.
package pki
