package api_test

import (
	"context"
	"strings"
	"testing"

	"demarc/api"
	"demarc/internal/account"
	"demarc/telephony"
)

// Reach answers with one phone that does and one that does not.
func (w *world) Reach(_ context.Context, id account.ID, aor telephony.AoR) ([]api.Reached, error) {
	w.did("reach %s %s", id, aor)
	return []api.Reached{
		{Contact: "sip:200@192.0.2.1", Node: "one", Status: 200, Reason: "OK", Millis: 3}, {Node: "two", Reason: "no answer"},
	}, w.fail
}

func TestReach(t *testing.T) {
	w := newWorld()
	op := operator(t, w)
	for of, aor := range map[string]string{"200": "200@one.example", "sip:200@two.example": "200@two.example"} {
		r := op.do("account acc_one", "POST", "/v1/reach?of="+of, "")
		op.want(r, 200, "")
		if got := w.acts[len(w.acts)-1]; got != "reach acc_one "+aor {
			t.Errorf("asked for %s", got)
		}
		for _, part := range []string{`"contact":"sip:200@192.0.2.1","node":"one","status":200,"reason":"OK","millis":3`,
			`"node":"two","status":0,"reason":"no answer"`} {
			if !strings.Contains(r.body, part) {
				t.Errorf("%s is missing in %s", part, r.body)
			}
		}
	}
	op.want(op.do("account acc_one", "POST", "/v1/reach", ""), 422, "invalid")
}

// Who does not exist is told apart from who has no phone, within the account alone.
func TestReachOfNobody(t *testing.T) {
	w := newWorld()
	op := operator(t, w)
	w.fail = api.ErrNobody
	op.want(op.do("account acc_one", "POST", "/v1/reach?of=9", ""), 404, "no_user")
}
