package provisioning_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"

	"demarc/cloudlink"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/store/storetest"
)

// endless is a text longer than a database indexes, which does not compress.
func endless() string {
	raw := make([]byte, 10_000)
	rand.Read(raw)
	return hex.EncodeToString(raw)
}

func TestUnfitTextsOfOneUserDoNotStopTheOthers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		b := newBench(t, db)
		b.users(6)
		_, err := b.svc.AddUser(t.Context(), b.actor, rules.NewUser{Email: "nameless@corp.test"})
		b.must(err)
		b.src.add(1100, "nameless@corp.test")
		b.src.users[6].Name, b.src.users[6].Extension = "A\r\n[net]\r\n"+strings.Repeat("😀", 1000)+endless(), endless()
		unfit := []string{endless(), "100\r\n[sip]\r\nx=y", `1"<2>`, "10 0"}
		for i, name := range unfit {
			for k := range b.src.users[i].SIPEndpoints {
				b.src.users[i].SIPEndpoints[k].SIPUsername = name
			}
		}
		for k := range b.src.users[4].SIPEndpoints {
			b.src.users[4].SIPEndpoints[k].Domain = endless()
		}
		if run := b.sync(); run.Looked != 7 || run.Pending != 5 {
			t.Fatalf("run %+v", run)
		}
		for _, email := range []string{"user0@", "user1@", "user2@", "user3@", "user4@"} {
			if st := b.status(email); st.State != rules.Pending || !strings.Contains(st.Text, "cannot be used") {
				t.Errorf("%s: %v %q", email, st.State, st.Text)
			}
		}
		if st := b.status("user5@"); st.State != rules.Inactive {
			t.Errorf("a user without fault: %v %q", st.State, st.Text)
		}
		st := b.status("nameless@")
		if st.State != rules.Inactive || strings.ContainsAny(st.User.Name, "\r\n") || len(st.User.Name) > 400 ||
			!strings.HasPrefix(st.User.Name, "A") || len(st.User.Extension) > 300 {
			t.Errorf("a long name: %v, %d and %d bytes", st.State, len(st.User.Name), len(st.User.Extension))
		}
		page, err := b.svc.Statuses(t.Context(), b.actor.Account, rules.StatusFilter{Limit: 1})
		b.must(err)
		if len(page.Users) != 1 || len(page.Users[0].User.Name) != len(st.User.Name) || len(page.Next) > 500 {
			t.Errorf("the mark of the next page has %d characters: the API takes 500", len(page.Next))
		}
	})
}

// circling is a service whose second page leads to the first.
type circling struct {
	*source
	asked int
}

func (s *circling) Users(ctx context.Context, next string) ([]cloudlink.UserWithEndpoints, string, error) {
	s.asked++
	page := s.source.users[:1]
	if next == "a" {
		return page, "b", nil
	}
	return page, "a", nil
}

func TestListingInACircleEnds(t *testing.T) {
	b := newBench(t, storetest.SQLite(t))
	b.users(2)
	b.sync()
	service := &circling{source: b.src}
	run, err := b.svc.Sync(t.Context(), b.actor.Account, []rules.Source{service})
	if err == nil || !strings.Contains(run.Error, "circle") || service.asked > 4 {
		t.Fatalf("after %d pages: %v, %+v", service.asked, err, run)
	}
	if st := b.status("user1@"); st.State != rules.Inactive {
		t.Errorf("a listing in a circle took a credential: %v", st.State)
	}
}

// growing is a service with one more page behind each.
type growing struct{ *source }

func (s growing) Users(_ context.Context, next string) ([]cloudlink.UserWithEndpoints, string, error) {
	return make([]cloudlink.UserWithEndpoints, 1000), next + "x", nil
}

func TestListingWithoutEndEnds(t *testing.T) {
	b := newBench(t, storetest.SQLite(t))
	b.users(1)
	run, err := b.svc.Sync(t.Context(), b.actor.Account, []rules.Source{growing{b.src}})
	if err == nil || !strings.Contains(run.Error, "does not end after 201 pages") {
		t.Fatalf("%v, %+v", err, run)
	}
}
