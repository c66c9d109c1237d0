package provisioning_test

import (
	"strings"
	"testing"

	rules "demarc/provisioning"
	"demarc/store"
	"demarc/store/storetest"
	"demarc/telephony"
)

// TestRenamedAtThePBX: what the registrar says of the old AoR belongs to nobody any more, so that a registration under it
// would look as if it stood for ever.
func TestRenamedAtThePBX(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(1)
		b.sync()
		f := &feed{}
		f.add(b.change(telephony.BindingRegistered, "urn:uuid:1")) // a desk phone, which does not report
		b.must(b.svc.CatchUp(t.Context(), f))
		if st := b.status("user0@"); st.State != rules.Registered {
			t.Fatalf("registered: %v", st.State)
		}
		for k := range b.src.users[0].SIPEndpoints {
			b.src.users[0].SIPEndpoints[k].SIPUsername = "2000"
		}
		b.sync()
		f.add(b.change(telephony.BindingExpired, "urn:uuid:1"))
		b.must(b.svc.CatchUp(t.Context(), f))
		st := b.status("user0@")
		if st.State != rules.Inactive || !strings.Contains(st.Text, "2000@corp.test") {
			t.Fatalf("after the user was renamed at the PBX: %v %q", st.State, st.Text)
		}
		again := b.change(telephony.BindingRegistered, "urn:uuid:1")
		again.AoR.User = "2000"
		f.add(again)
		b.must(b.svc.CatchUp(t.Context(), f))
		if st := b.status("user0@"); st.State != rules.Registered {
			t.Fatalf("registered under the new name: %v %q", st.State, st.Text)
		}
	})
}
