package portal

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"demarc/internal/access"
	"demarc/provisioning"
	"demarc/store"
)

type usersView struct {
	Users   []provisioning.Status
	Chips   []chip
	Search  string
	Filter  string // the states chosen, for the search form
	Next    string // address of the next page, or empty
	Live    string // address of the stream that refreshes this view
	Total   int
	CanSync bool
	CanAdd  bool
}

// chip is one state with its count; choosing it again lets it go.
type chip struct {
	State provisioning.SyncState
	Count int
	On    bool
	Path  string
}

func allStates() []provisioning.SyncState {
	return []provisioning.SyncState{
		provisioning.SIPError, provisioning.Pending, provisioning.Inactive, provisioning.Registered,
	}
}

func (s *server) users(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	body, err := s.usersView(r.Context(), p, r.URL.Query())
	if err != nil {
		return err
	}
	return s.show(w, r, p, http.StatusOK, "users", "Status", body)
}

func (s *server) usersLive(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if _, err := p.May(access.ReadUsers); err != nil {
		return err
	}
	return s.live(w, r, func(ctx context.Context) (string, error) {
		body, err := s.usersView(ctx, p, r.URL.Query())
		if err != nil {
			return "", err
		}
		return s.fragment("users", body)
	})
}

func (s *server) usersView(ctx context.Context, p access.Principal, q url.Values) (usersView, error) {
	scope, err := p.May(access.ReadUsers)
	if err != nil {
		return usersView{}, err
	}
	f := provisioning.StatusFilter{States: statesOf(q), Search: q.Get("q"), After: q.Get("after"), Limit: 100}
	if err := store.CheckText(f.Search, f.After); err != nil {
		return usersView{}, err
	}
	if scope == access.Own {
		f = provisioning.StatusFilter{Search: p.Member.Email, Limit: 500}
	}
	found, err := s.Provisioning.Statuses(ctx, p.Account, f)
	if err != nil {
		return usersView{}, err
	}
	if scope == access.Own {
		found = ownOnly(found, p)
	}
	v := usersView{
		Users: found.Users, Search: q.Get("q"), Filter: q.Get("state"), Live: "/live?" + q.Encode(),
		CanSync: may(p, access.RunSync), CanAdd: may(p, access.ChangeUsers),
	}
	for _, state := range allStates() {
		v.Chips = append(v.Chips, chipOf(state, found.Counts[state], f.States, q))
		v.Total += found.Counts[state]
	}
	if found.Next != "" {
		v.Next = "/?" + with(q, "after", found.Next).Encode()
	}
	return v, nil
}

// statesOf reads the states from the address; one that is not known is left out.
func statesOf(q url.Values) []provisioning.SyncState {
	var states []provisioning.SyncState
	for _, s := range allStates() {
		if slices.Contains(q["state"], string(s)) {
			states = append(states, s)
		}
	}
	return states
}

func chipOf(state provisioning.SyncState, count int, chosen []provisioning.SyncState, q url.Values) chip {
	on := slices.Contains(chosen, state)
	next := with(q, "after", "")
	next.Del("state")
	if !on {
		next.Set("state", string(state))
	}
	return chip{State: state, Count: count, On: on, Path: "/?" + next.Encode()}
}

// with returns the values with one of them changed, or taken out when empty.
func with(q url.Values, key, value string) url.Values {
	out := url.Values{}
	for k, v := range q {
		out[k] = v
	}
	out.Del(key)
	if value != "" {
		out.Set(key, value)
	}
	return out
}

// ownOnly leaves the member's own line, and counts it alone: how many others there are is not theirs to see.
func ownOnly(all provisioning.StatusPage, p access.Principal) provisioning.StatusPage {
	own := provisioning.StatusPage{Counts: map[provisioning.SyncState]int{}}
	for _, st := range all.Users {
		if st.User.Member == p.Member.ID {
			own.Users = append(own.Users, st)
			own.Counts[st.State]++
		}
	}
	return own
}
