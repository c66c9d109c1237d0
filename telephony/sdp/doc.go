// Package sdp reads and writes session descriptions (RFC 8866), and negotiates them by the offer/answer model (RFC 3264) for
// one leg at a time: what we offer or answer is always our own address, our own keys and, in an answer, one codec with
// telephone-event.
//
// It owns no socket, no port and no state: Local comes from the media, Agreed goes there. All of it is pure.
//
//	the phone offers                        we offer
//	Parse, Terms.Accepts                    Terms.Security, Side.Offer
//	Common (codecs for the other side)      Settle with what Offer says
//	Side.Answer                             after 488: Terms.Next, Side.Offer
//	within a call: Compare first
//
// Keys of SDES are told, and believed, only where nobody can listen to the signalling (RFC 4568 §7):
//
//	offered              required            preferred           off
//	RTP/SAVP, a=crypto   over TLS: SDES; over plain SIP: 488 (the key is known to whoever listened)
//	RTP/AVP, a=crypto    over TLS: SDES      over TLS: SDES      plain
//	                     else 488            else plain
//	RTP/AVP              488                 plain               plain
//	…/SAVP, fingerprint  DTLS                DTLS                DTLS
//
//	we offer             required            preferred           off
//	to a browser         DTLS with ICE, whatever the policy
//	over TLS             SDES or DTLS        SDES, DTLS or       plain or DTLS
//	                                         plain, as the phone is set or last offered; after 488 plain, once
//	over plain SIP       DTLS                plain or DTLS       plain or DTLS
//
// ICE is agreed to with DTLS alone: a phone that offers it with other media gets no candidates and uses what m= and c= say.
// Lines are not bundled: of a BUNDLE group (RFC 9143) the audio stays alone, video has a port of its own.
//
// No compatibility promise.
package sdp
