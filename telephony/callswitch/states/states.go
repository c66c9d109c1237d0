package states

// Dialog is how far a leg's dialog is (RFC 3261 §12).
type Dialog uint8

// The states of a dialog.
const (
	Calling    Dialog = iota // an INVITE went out or came in, and no dialog stands yet
	Early                    // a provisional response with a tag was sent or received
	Cancelling               // ours: CANCEL was asked for, the final response is due
	Answered                 // theirs: 2xx was sent, its ACK is due
	Confirmed                // 2xx and ACK: a BYE may be sent
	Leaving                  // theirs: to be ended as soon as the ACK is here (§15)
	Ending                   // BYE was sent, its response is due
	Terminated
)

// DialogEvent is what can happen to a dialog.
type DialogEvent uint8

// The events of a dialog.
const (
	Progress DialogEvent = iota // 101–199, sent or received
	Accept                      // 2xx, sent or received
	Acked                       // ACK received; or missing for good, which counts the same
	Refuse                      // final response of 300 or more, sent or received
	Hang                        // we want it to end
	Depart                      // BYE received, or the far end does not know the dialog (481, 408)
	ByeDone                     // the final response to our BYE
)

// Act is what a step of a dialog asks to be sent.
type Act uint8

// The acts.
const (
	Nothing    Act = iota
	SendCancel     // CANCEL
	SendAck        // ACK to the 2xx
	SendBye        // BYE
	SendBoth       // ACK, and BYE at once
	SendFinal      // the final response that refuses the INVITE
)

// Move is where a state goes, and what is to be sent.
type Move struct {
	To  Dialog
	Act Act
}

// Dialogs returns the states of a dialog.
func Dialogs() []Dialog {
	return []Dialog{Calling, Early, Cancelling, Answered, Confirmed, Leaving, Ending, Terminated}
}

// DialogEvents returns the events of a dialog.
func DialogEvents() []DialogEvent {
	return []DialogEvent{Progress, Accept, Acked, Refuse, Hang, Depart, ByeDone}
}

// stay marks a pair in which nothing happens.
const stay = 0xff

// asCaller is a dialog whose INVITE we sent (UAC), asCallee one whose INVITE we got (UAS). A row is a state, a column an
// event: Progress, Accept, Acked, Refuse, Hang, Depart, ByeDone.
var (
	asCaller = [8][7]Move{
		// Who is called must not send BYE before he has answered (§15); his final response is due all the same.
		Calling: {{Early, Nothing}, {Confirmed, SendAck}, {stay, 0}, {Terminated, Nothing}, {Cancelling, SendCancel},
			{Cancelling, SendCancel}, {stay, 0}},
		Early: {{Early, Nothing}, {Confirmed, SendAck}, {stay, 0}, {Terminated, Nothing}, {Cancelling, SendCancel},
			{Cancelling, SendCancel}, {stay, 0}},
		// A 2xx that crossed our CANCEL stands (§9.1), and is taken back by BYE.
		Cancelling: {{stay, 0}, {Ending, SendBoth}, {stay, 0}, {Terminated, Nothing}, {stay, 0}, {stay, 0}, {stay, 0}},
		Answered:   {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}},
		Confirmed:  {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {Ending, SendBye}, {Terminated, Nothing}, {stay, 0}},
		Leaving:    {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}},
		Ending:     {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {Terminated, Nothing}, {Terminated, Nothing}},
		Terminated: {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}},
	}
	asCallee = [8][7]Move{
		Calling: {{Early, Nothing}, {Answered, Nothing}, {stay, 0}, {Terminated, SendFinal}, {Terminated, SendFinal},
			{Terminated, SendFinal}, {stay, 0}},
		// A caller may end an early dialog by BYE too (§15); his INVITE still gets 487.
		Early: {{Early, Nothing}, {Answered, Nothing}, {stay, 0}, {Terminated, SendFinal}, {Terminated, SendFinal},
			{Terminated, SendFinal}, {stay, 0}},
		Cancelling: {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}},
		Answered:   {{stay, 0}, {stay, 0}, {Confirmed, Nothing}, {stay, 0}, {Leaving, Nothing}, {Terminated, Nothing}, {stay, 0}},
		Confirmed:  {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {Ending, SendBye}, {Terminated, Nothing}, {stay, 0}},
		Leaving:    {{stay, 0}, {stay, 0}, {Ending, SendBye}, {stay, 0}, {stay, 0}, {Terminated, Nothing}, {stay, 0}},
		Ending:     {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {Terminated, Nothing}, {Terminated, Nothing}},
		Terminated: {{stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}, {stay, 0}},
	}
)

// NextDialog is the whole machine of a dialog; ours says that we sent its INVITE. What cannot happen in a state changes
// nothing.
func NextDialog(ours bool, s Dialog, e DialogEvent) Move {
	m := asCallee[s][e]
	if ours {
		m = asCaller[s][e]
	}
	if m.To == stay {
		return Move{To: s}
	}
	return m
}

// Offer is how far offer and answer of a leg are (RFC 3264, RFC 6337).
type Offer uint8

// The states of offer and answer.
const (
	NoOffer       Offer = iota
	OfferSent           // the first one
	OfferReceived       // the first one
	Stable
	ReofferSent     // refused, what was agreed stays (RFC 6141 §3.1)
	ReofferReceived // the same
)

// OfferEvent is what can happen to offer and answer.
type OfferEvent uint8

// The events of offer and answer.
const (
	WeOffer OfferEvent = iota
	TheyOffer
	WeAnswer
	TheyAnswer
	OfferRefused // by either side
)

// Offers returns the states of offer and answer.
func Offers() []Offer {
	return []Offer{NoOffer, OfferSent, OfferReceived, Stable, ReofferSent, ReofferReceived}
}

// OfferEvents returns the events of offer and answer.
func OfferEvents() []OfferEvent {
	return []OfferEvent{WeOffer, TheyOffer, WeAnswer, TheyAnswer, OfferRefused}
}

// wrong marks a pair that the model forbids: a second offer before the answer (491 or 500), an answer to nothing.
const wrong = 0xff

var offerTable = [6][5]Offer{
	NoOffer:         {OfferSent, OfferReceived, wrong, wrong, NoOffer},
	OfferSent:       {wrong, wrong, wrong, Stable, NoOffer},
	OfferReceived:   {wrong, wrong, Stable, wrong, NoOffer},
	Stable:          {ReofferSent, ReofferReceived, wrong, wrong, Stable},
	ReofferSent:     {wrong, wrong, wrong, Stable, Stable},
	ReofferReceived: {wrong, wrong, Stable, wrong, Stable},
}

// NextOffer is the whole machine of offer and answer. ok is false for what the model forbids; the state then stays.
func NextOffer(s Offer, e OfferEvent) (to Offer, ok bool) {
	if to = offerTable[s][e]; to == wrong {
		return s, false
	}
	return to, true
}

// Call is how far a call is.
type Call uint8

// The states of a call.
const (
	Arriving Call = iota // its first INVITE is looked at, and where it goes is asked for
	Ringing              // phones are tried for the caller
	Talking              // two or more legs are connected
	Moving               // phones are tried for a leg that was answered before (transfer)
	Closing              // it is over for people; dialogs still end
	Ended
)

// Happening is what can happen to a call.
type Happening uint8

// What can happen to a call.
const (
	Targeted  Happening = iota // phones are to be tried for its caller, or for who is transferred
	Connected                  // somebody answered, or a leg was adopted
	Unreached                  // nobody answered, and there is nobody else to try
	Deserted                   // too few legs are left
	Settled                    // the last dialog has ended
)

// States returns the states of a call.
func States() []Call { return []Call{Arriving, Ringing, Talking, Moving, Closing, Ended} }

// Happenings returns what can happen to a call.
func Happenings() []Happening { return []Happening{Targeted, Connected, Unreached, Deserted, Settled} }

var callTable = [6][5]Call{
	//          Targeted Connected Unreached Deserted Settled
	Arriving: {Ringing, Talking, Closing, Closing, Arriving},
	Ringing:  {Ringing, Talking, Closing, Closing, Ringing},
	Talking:  {Moving, Talking, Talking, Closing, Talking},
	// Who was to be transferred goes on with who wanted it; when that one has left, the call is deserted.
	Moving:  {Moving, Talking, Talking, Closing, Moving},
	Closing: {Closing, Closing, Closing, Closing, Ended},
	Ended:   {Ended, Ended, Ended, Ended, Ended},
}

// NextCall is the whole machine of a call.
func NextCall(s Call, h Happening) Call { return callTable[s][h] }
