package registrar_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	"demarc/store"
	storeregistrar "demarc/store/registrar"
	"demarc/store/storetest"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/directory"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var start = time.UnixMilli(1_700_000_000_123).UTC()

func binding(acc account.ID, user, key string) registration.Binding {
	return registration.Binding{
		Account: acc, Node: "n1", AoR: telephony.NewAoR(user, "pbx.example.org"), Key: key, Contact: "sip:" + user +
			"@h;ob",
		Instance: "urn:uuid:1", RegID: 1, Q: 500, CallID: "c", CSeq: 1<<32 - 1,
		Flow: telephony.Flow{Listener: "tls", Transport: telephony.TLS, Remote: netip.MustParseAddrPort("[::1]:5061")},

		Reachable: true, UserAgent: "phöne", RegisteredAt: start, RefreshedAt: start.Add(time.Second),
		Expires: start.Add(time.Hour), Row: rand.Int64(),
	}
}

func change(acc account.ID, user string, kind telephony.RegistrationChangeKind) telephony.RegistrationChange {
	return telephony.RegistrationChange{Account: acc, Node: "n1", At: start, Kind: kind,
		AoR: telephony.NewAoR(user, "pbx.example.org"), Instance: "urn:uuid:1", Contact: "sip:x@h", UserAgent: "phone",
		Transport: telephony.UDP, Remote: "127.0.0.1:1", Expires: start.Add(time.Hour), Code: 401, Text: "text"}
}

func TestBindings(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		a, b := binding(acc, "1001", "uri:a"), binding(acc, "1002", "uri:b")
		b.Flow.Transport, b.Flow.Local = telephony.UDP, netip.MustParseAddr("2001:db8::9")
		again := a
		again.CSeq, again.Reachable = 7, false
		save(t, s, registrar.Batch{Node: "n1", Put: []registration.Binding{b, a, again}}) // a repeated key: the last counts
		if got := load(t, s, "n1"); len(got) != 2 || got[0] != again || got[1] != b {
			t.Fatalf("loaded %+v", got)
		}
		if err := db.Write(ctx, func(tx store.Tx) error { // as an earlier release wrote it
			_, err := tx.Exec(ctx, "UPDATE binding SET own_address = NULL")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got := load(t, s, "n1"); len(got) != 2 || got[1].Flow.Local.IsValid() || got[1].Flow.Remote != b.Flow.Remote {
			t.Fatalf("loaded %+v", got)
		}
		if got := load(t, s, "n2"); len(got) != 0 {
			t.Errorf("another node loaded %d", len(got))
		}
		a.Node = "n2" // the phone came to another node
		save(t, s, registrar.Batch{Node: "n2", Put: []registration.Binding{a}})
		save(t, s, registrar.Batch{Node: "n1", Remove: []registrar.Removal{{Key: a.ID(), Node: "n1"}, {Key: b.ID(), Node: "n1"}, {Key: b.ID(), Node: "n1"}}})
		if len(load(t, s, "n1")) != 0 || len(load(t, s, "n2")) != 1 {
			t.Error("n1 must remove its own bindings only")
		}
		for name, spoil := range map[string]func(*registration.Binding){
			"NUL":        func(b *registration.Binding) { b.Contact = "sip:\x00@h" },
			"not UTF-8":  func(b *registration.Binding) { b.CallID = "\xff" },
			"no account": func(b *registration.Binding) { b.Account = "nobody" },
		} {
			bad := binding(acc, "1003", "uri:c")
			spoil(&bad)
			batch := registrar.Batch{Node: "n1", Put: []registration.Binding{b, bad},
				Changes: []telephony.RegistrationChange{change(acc, "1002", telephony.BindingRegistered)}}
			if err := s.Save(ctx, batch); err == nil || errors.Is(err, registrar.ErrStoreAway) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if changes, err := s.Since(ctx, "n1", 0, 10); err != nil || len(changes) != 0 || len(load(t, s, "n1")) != 0 {
			t.Errorf("part of a failed batch was saved: %v %v", changes, err)
		}
	})
}

func TestRefreshes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		a, b, c := binding(acc, "1001", "uri:a"), binding(acc, "1002", "uri:b"), binding(acc, "1003", "uri:c")
		save(t, s, registrar.Batch{Node: "n1", Put: []registration.Binding{a, b, c}})
		later := func(b *registration.Binding) {
			b.CSeq, b.RefreshedAt, b.Expires = b.CSeq-1, b.RefreshedAt.Add(time.Minute), b.Expires.Add(time.Minute)
		}
		later(&a)
		later(&b)
		save(t, s, registrar.Batch{Node: "n1", Prolong: []*registration.Binding{&a, &b}})
		if got := load(t, s, "n1"); !slices.Equal(got, []registration.Binding{a, b, c}) {
			t.Fatalf("loaded %+v", got)
		}
		elsewhere := a // the phone went to another node, and comes back
		elsewhere.Node, elsewhere.Row = "n2", 1
		save(t, s, registrar.Batch{Node: "n2", Put: []registration.Binding{elsewhere}})
		later(&a)
		later(&b)
		d := binding(acc, "1004", "uri:d")
		save(t, s, registrar.Batch{Node: "n1", Put: []registration.Binding{d}, Prolong: []*registration.Binding{&b, &a},
			Remove: []registrar.Removal{{Key: c.ID(), Node: "n1"}}, Changes: []telephony.RegistrationChange{
				change(acc, "1004", telephony.BindingRegistered), change(acc, "1003", telephony.BindingExpired)}})
		if got := load(t, s, "n1"); !slices.Equal(got, []registration.Binding{a, b, d}) {
			t.Errorf("loaded %+v", got)
		}
		if got := load(t, s, "n2"); len(got) != 0 {
			t.Errorf("the other node still has %+v", got)
		}
		fed, err := s.Since(t.Context(), "n1", 0, 10)
		if err != nil || len(fed) != 2 || fed[0].N != 1 || fed[0].AoR.User != "1004" || fed[1].N != 2 ||
			fed[1].Text != "text" || fed[1].Code != 401 || !fed[1].Expires.Equal(start.Add(time.Hour)) {
			t.Errorf("the feed tells %+v, %v", fed, err)
		}
	})
}

// A row from before migration 21 has no name: its binding gets one with its next full save.
func TestRowWithoutName(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		save(t, s, registrar.Batch{Node: "n1", Put: []registration.Binding{binding(acc, "1001", "uri:a"), binding(acc, "1002", "uri:b")}})
		if err := db.Write(t.Context(), func(tx store.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE binding SET row_id = NULL`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		old := load(t, s, "n1")
		if len(old) != 2 || old[0].Row != 0 || old[1].Row != 0 {
			t.Fatalf("loaded %+v", old)
		}
		save(t, s, registrar.Batch{Node: "n1", Put: old})
		if got := load(t, s, "n1"); len(got) != 2 || got[0].Row == 0 || got[0].Row == got[1].Row {
			t.Errorf("loaded %+v", got)
		}
	})
}

func save(t *testing.T, s *storeregistrar.Store, b registrar.Batch) {
	t.Helper()
	if err := s.Save(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s *storeregistrar.Store, node string) []registration.Binding {
	t.Helper()
	got, err := s.Load(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b registration.Binding) int { return strings.Compare(a.Key, b.Key) })
	return got
}

func TestFeedHasNoGaps(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		var wg sync.WaitGroup
		for w := range 4 { // as the shards of one node do
			wg.Go(func() {
				for i := range 10 {
					user := fmt.Sprintf("%d%d", w, i)
					b := registrar.Batch{Node: "n1", Put: []registration.Binding{binding(acc, user, "uri:a")},
						Changes: []telephony.RegistrationChange{change(acc, user, telephony.BindingRegistered),
							change(acc, user, telephony.BindingUnregistered)}}
					if i%3 == 0 {
						b.Put[0].Account = "nobody" // fails, and must not use numbers up
					}
					if err := s.Save(ctx, b); (err != nil) != (i%3 == 0) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var all []telephony.RegistrationChange
		for {
			var n int64
			if len(all) > 0 {
				n = all[len(all)-1].N
			}
			page, err := s.Since(ctx, "n1", n, 7)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			all = append(all, page...)
		}
		if len(all) != 4*6*2 {
			t.Fatalf("%d changes", len(all))
		}
		for i, c := range all {
			want := change(acc, c.AoR.User, telephony.BindingRegistered)
			if want.N = int64(i + 1); i%2 == 1 {
				want.Kind = telephony.BindingUnregistered
			}
			if c != want {
				t.Fatalf("change %d: %+v\nwant %+v", i, c, want)
			}
		}
		if nodes, err := s.Nodes(ctx); err != nil || !slices.Equal(nodes, []string{"n1"}) {
			t.Errorf("%v %v", nodes, err)
		}
		prune(t, s, all[0].At)
		if left, _ := s.Since(ctx, "n1", 0, 100); len(left) != len(all) {
			t.Error("pruned what is not older")
		}
		prune(t, s, start.Add(time.Minute))
		save(t, s, registrar.Batch{Node: "n1", Changes: all[:1]})
		if left, err := s.Since(ctx, "n1", 0, 100); err != nil || len(left) != 1 || left[0].N != int64(len(all)+1) {
			t.Errorf("after pruning: %+v %v", left, err)
		}
	})
}

func prune(t *testing.T, s *storeregistrar.Store, before time.Time) {
	t.Helper()
	if _, err := s.Prune(t.Context(), before); err != nil {
		t.Fatal(err)
	}
}

func subscribers(acc account.ID, n int) directory.Directory {
	d := directory.Directory{PBX: cloudlink.PBX{PBXID: "p", Domain: "pbx.example.org", Realm: "R",
		Registrars: []cloudlink.Registrar{{Role: cloudlink.RoleSBC, Host: "h", Port: 5061, Transport: "tls"}}}}
	for i := range n {
		ext := fmt.Sprint(1001 + i)
		d.Subscribers = append(d.Subscribers, directory.Subscriber{
			UserID: directory.UserID(acc, ext), Extension: ext, Name: "N" + ext, Email: ext + "@example.org",
			AuthUsername: "auth" + ext, Realm: "R", Hashes: directory.NewHashes("auth"+ext, "R",
				"canary-"+account.Secret(ext)),
			Desktop: true, Voicemail: "v", CallerID: "c", SRTP: "required",
		})
	}
	return d
}

func TestDirectory(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := t.Context()
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		d := subscribers(acc, 3)
		replace(t, s, acc, d, storeregistrar.Replaced{Added: 3})
		version := must(s.Version(ctx))(t)
		replace(t, s, acc, d, storeregistrar.Replaced{Unchanged: 3})
		if must(s.Version(ctx))(t) != version {
			t.Error("nothing changed, but the version did")
		}
		domains := map[string]authentication.Domain{"pbx.example.org": {Account: acc, Realm: "R", SRTP: []string{"required"}}}
		if got := must(s.Domains(ctx))(t); !reflect.DeepEqual(got, domains) {
			t.Errorf("%+v", got)
		}
		for kept, want := range []int{3, 2, 1, 0} {
			part := directory.Directory{PBX: d.PBX, Subscribers: d.Subscribers[:kept]}
			if removed, before, err := s.Removes(ctx, acc, part); err != nil || removed != want || before != 3 {
				t.Errorf("a file with %d of 3 removes %d of %d, %v", kept, removed, before, err)
			}
		}
		if removed, before, err := s.Removes(ctx, "acc_other", d); removed != 0 || before != 0 || err != nil {
			t.Errorf("elsewhere it removes %d of %d, %v", removed, before, err)
		}
		first := must(s.Subscriber(ctx, telephony.NewAoR("1001", "pbx.example.org")))(t)
		if first.Account != acc || first.AuthUsername != "auth1001" || first.SRTP != "required" || !slices.Equal(first.Hashes,
			d.Subscribers[0].Hashes) {
			t.Errorf("%+v", first)
		}
		for _, aor := range []telephony.AoR{{User: "9", Domain: "pbx.example.org"}, {User: "1001", Domain: "other"}} {
			if _, err := s.Subscriber(ctx, aor); !errors.Is(err, authentication.ErrUnknown) {
				t.Errorf("%v: %v", aor, err)
			}
		}
		if got := must(s.PBX(ctx, acc))(t); got.PBXID != "p" || len(got.Registrars) != 1 {
			t.Errorf("%+v", got)
		}
		checkRotation(t, s, acc, d)
		for i, settings := range [][]string{{"off", "required", "off"}, {"", "preferred", ""}, {"", "", ""}} {
			for j, own := range settings {
				d.Subscribers[j].SRTP = own
			}
			if _, err := s.Replace(ctx, acc, d); err != nil {
				t.Fatal(err)
			}
			want := [][]string{{"off", "required"}, {"preferred"}, nil}[i]
			if got := must(s.Domains(ctx))(t)["pbx.example.org"].SRTP; !slices.Equal(got, want) {
				t.Errorf("the users have %q of their own, want %q", got, want)
			}
		}
	})
}

func checkRotation(t *testing.T, s *storeregistrar.Store, acc account.ID, d directory.Directory) {
	ctx := t.Context()
	version := must(s.Version(ctx))(t)
	before := must(s.User(ctx, acc, d.Subscribers[0].UserID))(t)
	rotated := before.Rotated()
	if err := s.ReplaceHashes(ctx, acc, before.UserID, rotated); err != nil {
		t.Fatal(err)
	}
	replace(t, s, acc, d, storeregistrar.Replaced{Unchanged: 3})
	after := must(s.User(ctx, acc, before.UserID))(t)
	if !slices.Equal(after.Hashes, rotated) || after.Version == before.Version || must(s.Version(ctx))(t) <= version {
		t.Error("a rotated credential must outlive the same file")
	}
	d.Subscribers = slices.Clone(d.Subscribers[:2])
	d.Subscribers[0].Hashes = directory.NewHashes("auth1001", "R", "typed anew")
	d.Subscribers[1].Name = "new"
	replace(t, s, acc, d, storeregistrar.Replaced{Changed: 2, Removed: 1})
	if got := must(s.User(ctx, acc, before.UserID))(t); !slices.Equal(got.Hashes, d.Subscribers[0].Hashes) {
		t.Error("a changed row must win over the rotation")
	}
	for _, id := range []string{"usr_nobody", "a\x00", directory.UserID(acc, "1003")} {
		if _, err := s.User(ctx, acc, id); !errors.Is(err, cloudlink.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := s.User(ctx, "acc_other", before.UserID); !errors.Is(err, cloudlink.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	if err := s.ReplaceHashes(ctx, "acc_other", before.UserID, rotated); !errors.Is(err, cloudlink.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
}

func replace(t *testing.T, s *storeregistrar.Store, acc account.ID, d directory.Directory,
	want storeregistrar.Replaced) {
	t.Helper()
	if got, err := s.Replace(t.Context(), acc, d); err != nil || got != want {
		t.Fatalf("%+v %v, want %+v", got, err, want)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestPagesAndManySubscribers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		replace(t, s, acc, subscribers(acc, 1203), storeregistrar.Replaced{Added: 1203})
		after, seen := "", 0
		for {
			page := must(s.Page(t.Context(), acc, after, 100))(t)
			if len(page) == 0 {
				break
			}
			for _, sub := range page {
				if sub.UserID <= after {
					t.Fatalf("%s after %s", sub.UserID, after)
				}
				after = sub.UserID
				seen++
			}
		}
		if seen != 1203 {
			t.Errorf("%d on all pages", seen)
		}
		replace(t, s, acc, subscribers(acc, 1), storeregistrar.Replaced{Unchanged: 1, Removed: 1202})
	})
}

func TestADomainHasOneAccount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		first, second := storetest.Account(t, db, "pbx.example.org"), storetest.Account(t, db, "other.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		replace(t, s, first, subscribers(first, 1), storeregistrar.Replaced{Added: 1})
		if _, err := s.Replace(t.Context(), second, subscribers(second, 1)); err == nil ||
			!strings.Contains(err.Error(), "belongs to another account") {
			t.Error(err)
		}
	})
}

// TestSecretsAreSealed looks at the rows as somebody with a copy of the database does.
func TestSecretsAreSealed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		d := subscribers(acc, 1)
		replace(t, s, acc, d, storeregistrar.Replaced{Added: 1})
		var hashes, source []byte
		err := db.Read(t.Context(), func(q store.Tx) error {
			return q.QueryRow(context.Background(), `SELECT hashes, source FROM subscriber`).Scan(&hashes, &source)
		})
		if err != nil {
			t.Fatal(err)
		}
		row := string(hashes) + string(source)
		sub := d.Subscribers[0]
		for _, secret := range []account.Secret{sub.Hashes[0].HA1, sub.Hashes[1].HA1, sub.Fingerprint(), "canary"} {
			if strings.Contains(row, secret.Reveal()) {
				t.Error("a secret stands in the row")
			}
		}
		other := storeregistrar.New(db, sealtest.New(t))
		if _, err := other.Subscriber(t.Context(), sub.AoR("pbx.example.org")); err == nil ||
			errors.Is(err, authentication.ErrUnknown) || errors.Is(err, registrar.ErrStoreAway) {
			t.Errorf("with another keyset: %v", err)
		}
	})
}

func TestAwayIsSaidInTheRegistrarsWords(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		_, lookup := s.Subscriber(ctx, telephony.NewAoR("1001", "pbx.example.org"))
		_, version := s.Version(ctx)
		_, loaded := s.Load(ctx, "n1")
		saved := s.Save(ctx, registrar.Batch{Node: "n1", Put: []registration.Binding{binding(acc, "1001", "uri:a")}})
		for i, err := range []error{lookup, version, loaded, saved} {
			if !errors.Is(err, registrar.ErrStoreAway) {
				t.Errorf("call %d: %v", i, err)
			}
		}
	})
}

// TestRegistrarOnStore runs the real rules on both databases.
func TestRegistrarOnStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		acc := storetest.Account(t, db, "pbx.example.org")
		s := storeregistrar.New(db, sealtest.New(t))
		d := subscribers(acc, 1)
		replace(t, s, acc, d, storeregistrar.Replaced{Added: 1})
		r := registrar.New(registrar.Config{Node: "n1", Directory: s, Bindings: s, Tick: 10 * time.Millisecond})
		if err := r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		if got := register(t, r, d.Subscribers[0].Hashes[0], 1); got.Status != 200 || len(got.Bindings) != 1 {
			t.Fatalf("%+v", got)
		}
		if len(load(t, s, "n1")) != 1 {
			t.Error("200 before the commit")
		}
		if err := s.ReplaceHashes(t.Context(), acc, d.Subscribers[0].UserID, d.Subscribers[0].Rotated()); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(20 * time.Second)
		for register(t, r, d.Subscribers[0].Hashes[0], 1).Status != 401 {
			if time.Now().After(deadline) {
				t.Fatal("the rotated credential still works")
			}
			time.Sleep(time.Millisecond)
		}
		for {
			changes := must(s.Since(t.Context(), "n1", 0, 10))(t)
			if len(changes) == 2 && changes[1].Kind == telephony.RegisterRefused && changes[1].Code == 401 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("feed %+v", changes)
			}
			time.Sleep(time.Millisecond)
		}
	})
}

// register sends an asking and an answering REGISTER.
func register(t *testing.T, r *registrar.Registrar, h digest.Hash, flow uint64) registration.Reply {
	t.Helper()
	var reply registration.Reply
	for i := range 2 {
		aor := telephony.NewAoR("1001", "pbx.example.org")
		req := &registration.Request{To: aor, From: aor, CallID: account.NewID("call"), CSeq: uint32(i + 1), Expires: 600,
			Flow:     telephony.Flow{ID: flow, Transport: telephony.TLS, Remote: netip.MustParseAddrPort("127.0.0.1:30001")},
			Contacts: []registration.Contact{{URI: "sip:1001@127.0.0.1", Expires: -1, Q: 1000}}}
		if i == 1 {
			_, rest, _ := strings.Cut(reply.Challenges[0], `nonce="`)
			nonce, _, _ := strings.Cut(rest, `"`)
			response := digest.MD5.Sum(h.HA1.Reveal() + ":" + nonce + ":00000001:abc:auth:" + digest.MD5.Sum("REGISTER:sip:x"))
			req.Authorize = []string{fmt.Sprintf(`Digest username="auth1001",realm=%q,nonce=%q,uri="sip:x",response=%q,`+
				`qop=auth,nc=00000001,cnonce="abc"`, h.Realm, nonce, response)}
		}
		replies := make(chan registration.Reply, 1)
		r.Register(t.Context(), req, func(got registration.Reply) { replies <- got })
		reply = <-replies
	}
	return reply
}
