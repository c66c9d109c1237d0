// Package registration says what becomes of a REGISTER whose sender is known: the rules of RFC 3261 §10, RFC 5626 (outbound), RFC 3327
// (Path) and RFC 8599 (push), and the request, bindings and reply that they speak of. It is pure: nothing here waits, asks, saves or has a
// clock. Decide is the whole of the rules, Refresh a short way to the same decision for what nearly every REGISTER is.
//
// What the rules answer, in their order:
//
//	malformed                              400
//	Path insisted on by a stranger         420 (RFC 3327; else a stranger's Path is passed over)
//	a proxy before us lacks outbound,
//	or is not one of ours                  439 (RFC 5626 §6)
//	a push provider not served here        555 (RFC 8599; not when none is configured)
//	Expires below the minimum              423 with Min-Expires
//	CSeq not above the binding's           500 (§10.3 step 7: the request fails as a whole)
//	more contacts than allowed, none dead  403
//	otherwise                              200 with every binding
//
// Phones are reached by their flow; a Contact's host is never resolved. Targets groups the flows by phone. Texts of a Request may be borrowed
// ([Request.Own]); those of a Binding never are. No compatibility promise.
package registration
