// Package softphone makes a device one of demarc's phones: it trades an enrolment code for a profile, fetches the SIP
// credential, chooses the way to the PBX, registers there over TLS with the HA1 alone, stays registered, and says in
// plain words how that goes.
//
// A program enrols once and keeps the profile as carefully as a password:
//
//	profile, err := softphone.Enrol(ctx, softphone.Enrolment{Link: link, Name: "Ada's laptop"})
//	if err != nil {
//		return err // says what is wrong and what to do
//	}
//	err = profile.Save(path)
//
// At every start it runs a phone of that profile until it ends:
//
//	profile, err := softphone.LoadProfile(path)
//	…
//	phone, err := softphone.New(softphone.Config{
//		Profile:  profile,
//		OnStatus: func(s softphone.Status) { show(s.State, s.Text) },
//	})
//	…
//	err = phone.Run(ctx) // returns after un-registering, when ctx ends
//
// The package owns the client's side of the client API, the choice of the route, and the registration. It does not own
// a window, a sound device or where profiles are kept. Calls come with a later release.
//
// # Trust
//
// The enrolment link carries the server's private authority, so the first connection is verified already. From then on
// the client API is trusted by the profile's authority alone, and a registrar by the one that its credential names. A
// certificate that does not verify is never worked around: it is a Failure with a cause of its own. The digest
// response is given only to addresses of the credential and only in the credential's realm.
//
// # States
//
// The states of a phone and what may follow each are in State.Follows.
//
// Promise: this is demarc's public Go API. It follows SemVer, and it exposes no type of another package.
package softphone
