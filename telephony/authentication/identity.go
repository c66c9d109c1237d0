package authentication

import "demarc/telephony/registration"

// The texts of refusals, for support staff.
const (
	textWrong = "The phone's SIP credential does not match the PBX: the password was changed there, or realm or " +
		"algorithm differ. Sync this user, then let the phone fetch its credential again."
	textRealm = "The phone answered for another realm than this PBX's. Sync this user, then let the phone fetch its " +
		"credential again; a phone set up by hand needs the PBX's realm."
	textAlgorithm = "The phone answered with a digest algorithm that is not offered here, or for which the PBX has " +
		"no hash of this user. Check the digest algorithms of this realm and listener."
	textLegacy = "The phone answers digest challenges without qop, as in RFC 2069, which can be replayed. " +
		"Update the phone."
	textOther = "The phone signed in as this user but tried to register another extension. " +
		"Correct the phone's user name."
	textStale = "The phone answers with nonces that are too old or of another node, again and again, although each time it is " +
		"given a new one. Either it keeps old ones (update it), or its requests reach several nodes in turn: let the load " +
		"balancer send one phone to one node."
	textFrom = "The phone's From differs from its To: registering for somebody else is not allowed here."
)

// Identity is what was found out about the sender of a REGISTER. With OK it is the To-AoR's user and the rules may run; otherwise Reply is
// final, but for a replay that may turn out to be a retransmission.
type Identity struct {
	Subscriber Subscriber
	OK         bool
	Replayed   bool
	Unsure     bool   // memory alone cannot tell
	standing   bool   // OK by a binding, see Credentials
	Proof      uint32 // of the credential that the answer was right for, see registration.Binding
	Reply      registration.Reply
	Outcome    registration.Outcome
	Concerns   Subscriber // whose timeline a refusal belongs to; zero when nobody's
	Text       string     // for support staff
}

// Sender sums up for the edge. A right answer with an old or used nonce proves nothing: it may be a copy.
func (id Identity) Sender(o registration.Outcome) registration.Sender {
	switch {
	case id.standing:
		return registration.Unproven
	case id.OK:
		return registration.Proven
	case o == registration.WrongCredentials, o == registration.Forbidden:
		return registration.Wrong
	}
	return registration.Unproven
}

// Admitted reports whether the rules may see the request.
func (id Identity) Admitted() bool { return id.OK || id.Replayed }
