package connector_test

import (
	"testing"

	"demarc/store"
	"demarc/store/storetest"
)

// TestReplacedAuthorisationEndsAtTheServiceToo: whoever connects twice and then disconnects must not stay linked there.
func TestReplacedAuthorisationEndsAtTheServiceToo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.link()
		b.link()
		if n := len(b.oauth.valid); n != 1 {
			t.Errorf("%d authorisations live at the service after connecting again, want 1", n)
		}
		if token, err := b.svc.Token(t.Context(), b.actor.Account, b.con.ID); err != nil || token.Reveal() != "access-canary-2" {
			t.Errorf("token %q, %v", token.Reveal(), err)
		}
		b.must(b.svc.Disconnect(t.Context(), b.actor, b.con.ID))
		if n := len(b.oauth.valid); n != 0 {
			t.Errorf("%d authorisations live at the service after disconnecting", n)
		}
	})
}
