package states_test

import (
	"os"
	"strings"
	"testing"

	"demarc/telephony/callswitch/states"
)

// row is what every event of a machine does in one state, written out again from the RFCs: "to" or "to:sent"; "-" nothing;
// "!" refused.
type row struct{ state, does string }

func TestEveryPairOfADialog(t *testing.T) {
	for _, side := range []struct {
		name string
		ours bool
		rows []row
	}{
		{"we invited", true, []row{
			//              progress accept         acked refuse     hang               depart     bye_done
			{"calling", "early confirmed:ACK - terminated cancelling:CANCEL cancelling:CANCEL -"},
			{"early", "- confirmed:ACK - terminated cancelling:CANCEL cancelling:CANCEL -"},
			{"cancelling", "- ending:ACK,BYE - terminated - - -"},
			{"answered", "- - - - - - -"},
			{"confirmed", "- - - - ending:BYE terminated -"},
			{"leaving", "- - - - - - -"},
			{"ending", "- - - - - terminated terminated"},
			{"terminated", "- - - - - - -"},
		}},
		{"they invited", false, []row{
			{"calling", "early answered - terminated:final terminated:final terminated:final -"},
			{"early", "- answered - terminated:final terminated:final terminated:final -"},
			{"cancelling", "- - - - - - -"},
			{"answered", "- - confirmed - leaving terminated -"},
			{"confirmed", "- - - - ending:BYE terminated -"},
			{"leaving", "- - ending:BYE - - terminated -"},
			{"ending", "- - - - - terminated terminated"},
			{"terminated", "- - - - - - -"},
		}},
	} {
		for i, s := range states.Dialogs() {
			does := strings.Fields(side.rows[i].does)
			if side.rows[i].state != s.String() || len(does) != len(states.DialogEvents()) {
				t.Fatalf("row %d is %v", i, side.rows[i])
			}
			for j, e := range states.DialogEvents() {
				m := states.NextDialog(side.ours, s, e)
				got := m.To.String()
				if sent := m.Act.String(); sent != "" {
					got += ":" + strings.ReplaceAll(strings.TrimSuffix(sent, " response"), " ", "")
				} else if m.To == s {
					got = "-"
				}
				if got != does[j] {
					t.Errorf("%s: %s in %s gives %s, want %s", side.name, e, s, got, does[j])
				}
			}
		}
	}
}

func TestEveryPairOfOfferAndAnswer(t *testing.T) {
	rows := []row{
		//                 we_offer they_offer we_answer they_answer refused
		{"none", "offer_sent offer_received ! ! -"},
		{"offer_sent", "! ! ! stable none"},
		{"offer_received", "! ! stable ! none"},
		{"stable", "reoffer_sent reoffer_received ! ! -"},
		{"reoffer_sent", "! ! ! stable stable"},
		{"reoffer_received", "! ! stable ! stable"},
	}
	for i, s := range states.Offers() {
		does := strings.Fields(rows[i].does)
		if rows[i].state != s.String() {
			t.Fatalf("row %d is %v", i, rows[i])
		}
		for j, e := range states.OfferEvents() {
			to, ok := states.NextOffer(s, e)
			got := to.String()
			switch {
			case !ok && to != s:
				t.Errorf("%s in %s is refused, and changes the state", e, s)
			case !ok:
				got = "!"
			case to == s:
				got = "-"
			}
			if got != does[j] {
				t.Errorf("%s in %s gives %s, want %s", e, s, got, does[j])
			}
		}
	}
}

func TestEveryPairOfACall(t *testing.T) {
	rows := []row{
		//           targeted connected unreached deserted settled
		{"arriving", "ringing talking closing closing -"},
		{"ringing", "- talking closing closing -"},
		{"talking", "moving - - closing -"},
		{"moving", "- talking talking closing -"},
		{"closing", "- - - - ended"},
		{"ended", "- - - - -"},
	}
	for i, s := range states.States() {
		does := strings.Fields(rows[i].does)
		if rows[i].state != s.String() {
			t.Fatalf("row %d is %v", i, rows[i])
		}
		for j, h := range states.Happenings() {
			got := states.NextCall(s, h).String()
			if got == s.String() {
				got = "-"
			}
			if got != does[j] {
				t.Errorf("%s in %s gives %s, want %s", h, s, got, does[j])
			}
		}
	}
}

func TestTablesAreDrawn(t *testing.T) {
	drawn, err := os.ReadFile("../../../docs/state-machines.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(drawn), states.Tables()) {
		t.Error("docs/state-machines.md does not show the tables: run demarc docs docs")
	}
}
