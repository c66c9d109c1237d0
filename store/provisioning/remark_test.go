package provisioning_test

import (
	"errors"
	"fmt"
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

// PostgreSQL commits a batch and the connection is gone before it says so: written again, every line stands once, whoever has come to
// the integration meanwhile.
func TestALostAnswerRemarksOnce(t *testing.T) {
	db, wire := storetest.Swallowing(t)
	b := newBench(t, db)
	b.users(1)
	b.sync()
	aor := b.change(telephony.BindingRegistered, "").AoR
	var remarks []rules.Remark
	for i, who := range []telephony.AoR{{User: "stranger", Domain: aor.Domain}, aor, aor, aor} {
		remarks = append(remarks, rules.Remark{AoR: who, Entry: timeline.Entry{ID: fmt.Sprint("tl_", i), Account: b.actor.Account, At: b.now(),
			Kind: timeline.CallFailed, Code: 408, Text: fmt.Sprint("line ", i)}})
	}
	wire.Swallow("commit")
	if err := b.store.Remark(t.Context(), remarks); !errors.Is(err, store.ErrUnavailable) || wire.Lost() != 1 {
		t.Fatalf("the answer was not lost: %v", err)
	}
	b.must(b.store.Remark(t.Context(), remarks[1:])) // nobody is before them now
	b.must(b.store.Remark(t.Context(), remarks))
	var texts []string
	for line := range strings.Lines(b.told(b.status("user0@").User.ID)) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "call_failed: "); ok {
			texts = append(texts, text)
		}
	}
	if got := strings.Join(texts, ", "); got != "line 3, line 2, line 1" {
		t.Errorf("the timeline: %s", got)
	}
}
