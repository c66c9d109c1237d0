package interop_test

import (
	"fmt"
	"testing"
	"time"
)

// A browser restarts ICE, from either side of the call: both sides have new names after it, the gateway too (RFC 8445 §9), and both
// still hear each other, over whatever pair of addresses was found anew.
func TestABrowserRestartsICE(t *testing.T) {
	f := newCallFloor(t, true)
	page, baresip := model{"page", "dtls", ""}, model{"baresip", "sdes", ""}
	for _, pair := range [][2]model{{page, baresip}, {baresip, page}, {page, page}} {
		t.Run(fmt.Sprintf("%s calls %s", pair[0], pair[1]), func(t *testing.T) {
			t.Parallel()
			from, to := f.seat(t, pair[0], callerTone), f.seat(t, pair[1], calleeTone)
			talk(t, from, to)
			browser, other := from, to
			if _, ok := browser.caller.(*webphone); !ok {
				browser, other = to, from
			}
			w := browser.caller.(*webphone)
			for n := range 2 {
				before := run[[]string](w, "names("+newest+")")
				w.do("restart(" + newest + ")")
				w.await(" restarted", n+1)
				w.awaitConnected()
				after := run[[]string](w, "names("+newest+")")
				if after[0] == before[0] || after[1] == before[1] {
					t.Errorf("the names were %v, and are %v after a restart", before, after)
				}
				hears(t, "who restarts", browser, other.hertz)
				hearsOn(t, "who talks with it", other, browser.hertz)
			}
			other.hangup()
			browser.awaitEnd()
		})
	}
}

// awaitConnected waits until the checks of ICE have found a way.
func (w *webphone) awaitConnected() {
	w.t.Helper()
	eventually(w.t, "the page is connected", func() (bool, any) {
		state := run[string](w, "sessions["+newest+"].connection.iceConnectionState")
		return state == "connected" || state == "completed", state
	})
}

// hearsOn waits for sound that came after now.
func hearsOn(t *testing.T, who string, s seat, hertz float64) {
	t.Helper()
	if w, ok := s.caller.(*webphone); ok {
		w.do("heard = []")
		hears(t, who, s, hertz)
		return
	}
	before, err := s.heard()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, who+" hears more", func() (bool, any) {
		now, err := s.heard()
		return err == nil && now.length() > before.length()+2*time.Second, now.length()
	})
	hears(t, who, s, hertz)
}
