package states

import (
	"fmt"
	"strings"
)

// String returns the name of the state.
func (s Dialog) String() string {
	return [...]string{"calling", "early", "cancelling", "answered", "confirmed", "leaving", "ending", "terminated"}[s]
}

// String returns the name of the event.
func (e DialogEvent) String() string {
	return [...]string{"progress", "accept", "acked", "refuse", "hang", "depart", "bye_done"}[e]
}

// String returns what is sent.
func (a Act) String() string {
	return [...]string{"", "CANCEL", "ACK", "BYE", "ACK, BYE", "final response"}[a]
}

// String returns the name of the state.
func (s Offer) String() string {
	return [...]string{"none", "offer_sent", "offer_received", "stable", "reoffer_sent", "reoffer_received"}[s]
}

// String returns the name of the event.
func (e OfferEvent) String() string {
	return [...]string{"we_offer", "they_offer", "we_answer", "they_answer", "refused"}[e]
}

// String returns the name of the state.
func (s Call) String() string {
	return [...]string{"arriving", "ringing", "talking", "moving", "closing", "ended"}[s]
}

// String returns the name of what happened.
func (h Happening) String() string {
	return [...]string{"targeted", "connected", "unreached", "deserted", "settled"}[h]
}

// named is what a table's rows and columns are made of.
type named interface {
	comparable
	fmt.Stringer
}

// draw renders one machine as a table and a Mermaid diagram. next returns where a state goes, what is sent, and whether
// the pair is allowed.
func draw[S, E named](b *strings.Builder, states []S, events []E, next func(S, E) (S, string, bool)) {
	b.WriteString("| state |")
	for _, e := range events {
		fmt.Fprintf(b, " %s |", e)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(events)) + "\n")
	var arrows strings.Builder
	for _, s := range states {
		fmt.Fprintf(b, "| **%s** |", s)
		for _, e := range events {
			to, sent, ok := next(s, e)
			if sent != "" {
				sent = ": " + sent
			}
			switch {
			case !ok:
				b.WriteString(" refused |")
			case to == s && sent == "":
				b.WriteString(" |")
			default:
				fmt.Fprintf(b, " %s%s |", to, sent)
				if to != s {
					fmt.Fprintf(&arrows, "    %s --> %s: %s\n", s, to, e)
				}
			}
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(b, "\n```mermaid\nstateDiagram-v2\n    [*] --> %s\n%s```\n", states[0], arrows.String())
}

// Tables renders the machines for docs/state-machines.md.
func Tables() string {
	var b strings.Builder
	for _, side := range []struct {
		title string
		ours  bool
	}{{"A dialog whose INVITE we sent", true}, {"A dialog whose INVITE we received", false}} {
		fmt.Fprintf(&b, "## %s (telephony/callswitch/states)\n\nAn empty field: nothing happens.\n\n", side.title)
		draw(&b, Dialogs(), DialogEvents(), func(s Dialog, e DialogEvent) (Dialog, string, bool) {
			m := NextDialog(side.ours, s, e)
			return m.To, m.Act.String(), true
		})
		b.WriteString("\n")
	}
	b.WriteString("## Offer and answer of a leg (telephony/callswitch/states)\n\n")
	draw(&b, Offers(), OfferEvents(), func(s Offer, e OfferEvent) (Offer, string, bool) {
		to, ok := NextOffer(s, e)
		return to, "", ok
	})
	b.WriteString("\n## A call (telephony/callswitch/states)\n\n")
	draw(&b, States(), Happenings(), func(s Call, h Happening) (Call, string, bool) { return NextCall(s, h), "", true })
	return b.String()
}
