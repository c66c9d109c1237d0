package access

import (
	"fmt"

	"demarc/internal/account"
)

// Actor is what a principal counts as in the policy.
type Actor string

// The actors. Operator is whoever may open the unix socket in the data directory.
const (
	Anonymous Actor = "anonymous"
	Device    Actor = "device"
	User      Actor = "user"
	Support   Actor = "support"
	Admin     Actor = "admin"
	Owner     Actor = "owner"
	Operator  Actor = "operator"
)

// Actors lists every actor, weakest first.
func Actors() []Actor {
	return []Actor{Anonymous, Device, User, Support, Admin, Owner, Operator}
}

// Verb is one thing that can be asked for.
type Verb string

// The verbs.
const (
	ReadOwnDevice   Verb = "read_own_device"
	FetchCredential Verb = "fetch_credential"
	Report          Verb = "report"
	Unenrol         Verb = "unenrol"
	ReadUsers       Verb = "read_users"
	ChangeUsers     Verb = "change_users"
	IssueCode       Verb = "issue_code"
	RevokeDevice    Verb = "revoke_device"
	ReadMembers     Verb = "read_members"
	AddMember       Verb = "add_member"
	NameAdmin       Verb = "name_admin" // give the role admin or owner
	ReadLink        Verb = "read_link"
	ChangeLink      Verb = "change_link"
	ConnectLink     Verb = "connect_link" // needs a browser: consent is given on a page
	ReadSyncRuns    Verb = "read_sync_runs"
	ReadTrace       Verb = "read_trace" // the SIP messages of the account's phones
	ReadCalls       Verb = "read_calls"
	HangUp          Verb = "hang_up"
	TransferCall    Verb = "transfer_call"
	RunSync         Verb = "run_sync"
	ReadAccounts    Verb = "read_accounts"
	CreateAccount   Verb = "create_account"
	IssueSignIn     Verb = "issue_sign_in"
)

// Verbs lists every verb.
func Verbs() []Verb {
	return []Verb{
		ReadOwnDevice, FetchCredential, Report, Unenrol, ReadUsers, ChangeUsers, IssueCode, RevokeDevice, ReadMembers,
		AddMember, NameAdmin, ReadLink, ChangeLink, ConnectLink, ReadSyncRuns, ReadTrace, ReadCalls, HangUp, TransferCall, RunSync,
		ReadAccounts, CreateAccount, IssueSignIn,
	}
}

// Scope is how far an allowed verb reaches.
type Scope int

// The scopes. The zero value denies.
const (
	Nothing Scope = iota // not allowed
	Own                  // the principal's own device or own user
	All                  // everything in the principal's account
)

// Allowed is the policy: what each actor may do, and how far. What is not in the table is denied.
func Allowed(a Actor, v Verb) Scope {
	switch v {
	case ReadOwnDevice, FetchCredential, Report, Unenrol:
		return pick(a, scopes{Device: Own})
	case ReadUsers:
		return pick(a, scopes{User: Own, Support: All, Admin: All, Owner: All, Operator: All})
	case IssueCode, RevokeDevice:
		return pick(a, scopes{User: Own, Admin: All, Owner: All, Operator: All})
	case ReadLink, ReadSyncRuns, ReadTrace, ReadCalls:
		return pick(a, scopes{Support: All, Admin: All, Owner: All, Operator: All})
	case ChangeUsers, ReadMembers, AddMember, ChangeLink, HangUp, TransferCall, RunSync:
		return pick(a, scopes{Admin: All, Owner: All, Operator: All})
	case NameAdmin:
		return pick(a, scopes{Owner: All, Operator: All})
	case ConnectLink:
		return pick(a, scopes{Admin: All, Owner: All})
	case ReadAccounts, CreateAccount, IssueSignIn:
		return pick(a, scopes{Operator: All})
	}
	return Nothing
}

type scopes map[Actor]Scope

func pick(a Actor, s scopes) Scope { return s[a] }

// Principal is who asks. The zero Principal is nobody.
type Principal struct {
	Actor   Actor
	Account account.ID
	Member  account.Member // of a session; for the operator a member that stands for them
	Session string         // id of the web session, or empty
	Device  string         // id of the device, or empty
}

// May returns how far the principal may go with the verb: ErrNoSession for nobody, ErrForbidden when denied.
func (p Principal) May(v Verb) (Scope, error) {
	actor := p.Actor
	if actor == "" {
		actor = Anonymous
	}
	if s := Allowed(actor, v); s != Nothing {
		return s, nil
	}
	if actor == Anonymous {
		return Nothing, ErrNoSession
	}
	return Nothing, fmt.Errorf("%w: the role %q does not include %q", ErrForbidden, actor, v)
}

// OfMember returns the principal of a member who signed in with the web session.
func OfMember(m account.Member, session string) Principal {
	return Principal{Actor: actorOf(m.Role), Account: m.Account, Member: m, Session: session}
}

// OfOperator returns the operator's principal in one account. In the timeline the operator stands as "operator".
func OfOperator(id account.ID) Principal {
	m := account.Member{Account: id, ID: "operator", Name: "operator", Role: account.Owner}
	return Principal{Actor: Operator, Account: id, Member: m}
}

// OfDevice returns the principal of a device.
func OfDevice(id account.ID, device string) Principal {
	m := account.Member{Account: id, ID: "device", Name: "device", Role: account.User}
	return Principal{Actor: Device, Account: id, Member: m, Device: device}
}

func actorOf(r account.Role) Actor {
	switch r {
	case account.Owner:
		return Owner
	case account.Admin:
		return Admin
	case account.Support:
		return Support
	case account.User:
		return User
	}
	return Anonymous
}
