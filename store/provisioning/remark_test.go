package provisioning_test

import (
	"strings"
	"testing"

	"demarc/internal/account"
	"demarc/internal/timeline"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/store/storetest"
	"demarc/telephony"
)

func TestRemark(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(2)
		b.sync()
		aor := b.change(telephony.BindingRegistered, "").AoR
		remark := func(acc account.ID, aor telephony.AoR, text string) rules.Remark {
			return rules.Remark{AoR: aor, Entry: timeline.Entry{
				Account: acc, At: b.now(), Kind: timeline.CallFailed, Code: 408, Text: text, Actor: "exchange",
			}}
		}
		b.must(b.store.Remark(t.Context(), []rules.Remark{
			remark(b.actor.Account, aor, "nobody\x00 answered"),
			remark(b.actor.Account, telephony.AoR{User: "stranger", Domain: aor.Domain}, "of nobody"),
			remark(storetest.Account(t, db, "other.test"), aor, "of another account"),
		}))
		if told := b.told(b.status("user0@").User.ID); !strings.Contains(told, "nobody\uFFFD answered") {
			t.Errorf("the timeline: %s", told)
		}
		var entries int
		b.must(db.Read(t.Context(), func(q store.Tx) error {
			return q.QueryRow(t.Context(), `SELECT COUNT(*) FROM timeline WHERE kind = 'call_failed'`).Scan(&entries)
		}))
		if entries != 1 {
			t.Errorf("%d entries", entries)
		}
	})
}
