package registrar

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"demarc/store"
	"demarc/telephony"
	"demarc/telephony/registrar"
)

var bindingTable = store.Table{
	Name: "binding",
	Columns: []string{"account_id", "domain", "username", "binding_key", "node", "contact", "instance", "reg_id bigint",
		"q bigint", "call_id", "cseq bigint", "listener", "transport", "remote", "flow bigint", "path", "reachable boolean",
		"user_agent", "registered_at bigint", "refreshed_at bigint", "expires_at bigint"},
	Key: "account_id, domain, username, binding_key",
}

var changeTable = store.Table{
	Name: "registration_change",
	Columns: []string{"node", "n bigint", "account_id", "at bigint", "kind", "domain", "username", "instance", "contact",
		"user_agent", "transport", "remote", "expires_at bigint", "code bigint", "text"},
}

// Save commits a batch: bindings, and feed rows with the node's next numbers.
func (s *Store) Save(ctx context.Context, b registrar.Batch) error {
	if err := checkBatch(b); err != nil {
		return err
	}
	put, remove := fold(b)
	if s.db.Dialect() == store.PostgreSQL && len(put) > 0 && len(remove) == 0 && len(b.Changes) == 0 {
		query, args := bindingTable.Batch(put) // refreshes, which is nearly all
		return away(s.db.WriteOne(ctx, query, args...))
	}
	return away(s.db.Write(ctx, func(tx store.Tx) error {
		if err := s.removeBindings(ctx, tx, remove); err != nil {
			return err
		}
		if err := bindingTable.Write(ctx, tx, s.db.Dialect(), put); err != nil {
			return err
		}
		return s.appendChanges(ctx, tx, b.Node, b.Changes)
	}))
}

// checkBatch refuses text that a database would refuse in the middle of the batch.
func checkBatch(b registrar.Batch) error {
	for _, p := range b.Put {
		if err := store.CheckText(p.AoR.User, p.AoR.Domain, p.Key, p.Contact, p.Instance, p.CallID, p.Flow.Listener,
			p.Path, p.UserAgent); err != nil {
			return err
		}
	}
	for _, k := range b.Remove {
		if err := store.CheckText(k.AoR.User, k.AoR.Domain, k.Key.Key, k.Node); err != nil {
			return err
		}
	}
	for _, c := range b.Changes {
		if err := store.CheckText(c.AoR.User, c.AoR.Domain, c.Instance, c.Contact, c.UserAgent, c.Text); err != nil {
			return err
		}
	}
	return nil
}

// fold keeps the last value per key and sorts by key: a repeated key fails the whole statement on PostgreSQL, and two
// batches in different orders could deadlock.
func fold(b registrar.Batch) (put, remove [][]any) {
	last := make(map[registrar.Key]registrar.Binding, len(b.Put))
	for _, p := range b.Put {
		last[p.ID()] = p
	}
	keys := make([]registrar.Key, 0, len(last))
	for k := range last {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareKeys)
	for _, k := range keys {
		put = append(put, bindingRow(last[k]))
	}
	gone := slices.Clone(b.Remove)
	slices.SortFunc(gone, func(a, b registrar.Removal) int { return compareKeys(a.Key, b.Key) })
	for _, k := range slices.Compact(gone) {
		if _, again := last[k.Key]; !again {
			remove = append(remove, []any{k.Node, string(k.Account), k.AoR.Domain, k.AoR.User, k.Key.Key})
		}
	}
	return put, remove
}

func compareKeys(a, b registrar.Key) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.AoR.Domain, b.AoR.Domain),
		cmp.Compare(a.AoR.User, b.AoR.User), cmp.Compare(a.Key, b.Key))
}

func bindingRow(b registrar.Binding) []any {
	remote := ""
	if b.Flow.Remote.IsValid() {
		remote = b.Flow.Remote.String()
	}
	return []any{string(b.Account), b.AoR.Domain, b.AoR.User, b.Key, b.Node, b.Contact, b.Instance, int64(b.RegID),
		int64(b.Q), b.CallID, int64(b.CSeq), b.Flow.Listener, string(b.Flow.Transport), remote, int64(b.Flow.ID),
		b.Path, b.Reachable, b.UserAgent,
		store.Millis(b.RegisteredAt), store.Millis(b.RefreshedAt), store.Millis(b.Expires)}
}

// removeBindings leaves alone what another node has taken over since.
func (s *Store) removeBindings(ctx context.Context, tx store.Tx, keys [][]any) error {
	if len(keys) == 0 {
		return nil
	}
	if s.db.Dialect() == store.PostgreSQL {
		_, err := tx.Exec(ctx, `DELETE FROM binding WHERE (node, account_id, domain, username, binding_key) IN
			(SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]))`, store.Column[string](keys, 0),
			store.Column[string](keys, 1), store.Column[string](keys, 2), store.Column[string](keys, 3), store.Column[string](keys, 4))
		return err
	}
	return store.Loop(ctx, tx, `DELETE FROM binding WHERE node = $1 AND account_id = $2 AND domain = $3 AND username = $4
		AND binding_key = $5`, keys)
}

// appendChanges numbers the rows by the node's counter, whose row stays locked until the commit: numbers have no gaps
// and follow the order of commits.
func (s *Store) appendChanges(ctx context.Context, tx store.Tx, node string,
	changes []telephony.RegistrationChange) error {
	if len(changes) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `INSERT INTO registration_node (node, last) VALUES ($1, $2)
		ON CONFLICT (node) DO UPDATE SET last = registration_node.last + excluded.last`, node, len(changes)); err != nil {
		return err
	}
	var last int64
	err := tx.QueryRow(ctx, `SELECT last FROM registration_node WHERE node = $1`, node).Scan(&last)
	if err != nil {
		return err
	}
	rows := make([][]any, len(changes))
	for i, c := range changes {
		n := last - int64(len(changes)) + int64(i) + 1
		rows[i] = []any{node, n, string(c.Account), store.Millis(c.At), string(c.Kind), c.AoR.Domain, c.AoR.User,
			c.Instance, c.Contact, c.UserAgent, string(c.Transport), c.Remote, store.Millis(c.Expires), int64(c.Code), c.Text}
	}
	return changeTable.Write(ctx, tx, s.db.Dialect(), rows)
}

const selectBindings = `SELECT account_id, domain, username, binding_key, node, contact, instance, reg_id, q, call_id,
	cseq, listener, transport, remote, flow, path, reachable, user_agent, registered_at, refreshed_at, expires_at
	FROM binding `

// Load returns the bindings that the node saved.
func (s *Store) Load(ctx context.Context, node string) ([]registrar.Binding, error) {
	return s.bindings(ctx, selectBindings+`WHERE node = $1`, node)
}

// All returns the bindings of all nodes.
func (s *Store) All(ctx context.Context) ([]registrar.Binding, error) {
	return s.bindings(ctx, selectBindings)
}

// Of returns the bindings of the AoRs, of all nodes.
func (s *Store) Of(ctx context.Context, aors []telephony.AoR) ([]registrar.Binding, error) {
	if s.db.Dialect() == store.PostgreSQL {
		users, domains := make([]string, len(aors)), make([]string, len(aors))
		for i, a := range aors {
			users[i], domains[i] = a.User, a.Domain
		}
		return s.bindings(ctx, selectBindings+`WHERE (domain, username) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
			domains, users)
	}
	var found []registrar.Binding
	for _, a := range aors {
		more, err := s.bindings(ctx, selectBindings+`WHERE domain = $1 AND username = $2`, a.Domain, a.User)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func (s *Store) bindings(ctx context.Context, query string, args ...any) ([]registrar.Binding, error) {
	var found []registrar.Binding
	err := s.db.Read(ctx, func(q store.Tx) error {
		found = nil
		rows, err := q.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var b registrar.Binding
			var remote string
			var registered, refreshed, expires int64
			if err := rows.Scan(&b.Account, &b.AoR.Domain, &b.AoR.User, &b.Key, &b.Node, &b.Contact, &b.Instance, &b.RegID,
				&b.Q, &b.CallID, &b.CSeq, &b.Flow.Listener, &b.Flow.Transport, &remote, &b.Flow.ID, &b.Path, &b.Reachable,
				&b.UserAgent, &registered, &refreshed, &expires); err != nil {
				return err
			}
			b.Flow.Remote, _ = netip.ParseAddrPort(remote) // what was never valid stays so
			b.RegisteredAt, b.RefreshedAt, b.Expires = store.Time(registered), store.Time(refreshed), store.Time(expires)
			found = append(found, b)
		}
		return rows.Err()
	})
	return found, away(err)
}
