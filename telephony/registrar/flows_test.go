package registrar

import (
	"testing"

	"pgregory.net/rapid"
)

func TestFlowUsers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, model := newFlowUsers(), map[uint64]map[uint64]bool{}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			flow, user := rapid.Uint64Range(1, 3).Draw(t, "flow"), rapid.Uint64Range(1, 4).Draw(t, "user")
			if model[flow] == nil {
				model[flow] = map[uint64]bool{}
			}
			if rapid.Bool().Draw(t, "join") {
				f.join(flow, user)
				model[flow][user] = true
			} else {
				f.leave(flow, user)
				delete(model[flow], user)
			}
			got := f.of(flow)
			for _, u := range got {
				if !model[flow][u] {
					t.Fatalf("%d is still at the flow: %v", u, got)
				}
			}
			if len(got) != len(model[flow]) {
				t.Fatalf("%v, want %v", got, model[flow])
			}
		}
	})
}
