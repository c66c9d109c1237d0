package registrar

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"

	"demarc/store"
	"demarc/telephony"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
)

var bindingTable = store.Table{
	Name: "binding",
	Columns: []string{"account_id", "domain", "username", "binding_key", "node", "contact", "instance", "reg_id bigint",
		"q bigint", "call_id", "cseq bigint", "listener", "transport", "remote", "flow bigint", "path", "reachable boolean",
		"user_agent", "registered_at bigint", "refreshed_at bigint", "expires_at bigint", "row_id bigint", "own_address"},
	Key: "account_id, domain, username, binding_key",
	// A phone that comes takes its binding over. That a connection has ended takes nothing from the node that has the phone now.
	Where: "excluded.reachable OR binding.node = excluded.node",
}

// Save commits a batch: bindings, and feed rows with the node's next numbers.
func (s *Store) Save(ctx context.Context, b registrar.Batch) error {
	if err := checkBatch(b); err != nil {
		return err
	}
	if s.db.Dialect() == store.PostgreSQL {
		if len(b.Changes) == 0 {
			return away(s.saveAtOnce(ctx, b, 0, nil))
		}
		return away(s.numbered(ctx, b.Node, b.Changes, func(head int64, changes []telephony.RegistrationChange) (int, error) {
			return len(changes), s.saveAtOnce(ctx, b, head, changes)
		}))
	}
	put, remove := fold(b.Put, b.Remove)
	return away(s.db.Write(ctx, func(tx store.Tx) error {
		if err := removeEach(ctx, tx, remove); err != nil {
			return err
		}
		missed, err := prolongEach(ctx, tx, b)
		if err != nil {
			return err
		}
		if err := bindingTable.Write(ctx, tx, s.db.Dialect(), append(put, missed...)); err != nil {
			return err
		}
		return appendEach(ctx, tx, b.Node, b.Changes)
	}))
}

// saveAtOnce sends the batch to PostgreSQL in one question, with changes from a number on. Refreshes, which are nearly all, come
// first: an array per column.
func (s *Store) saveAtOnce(ctx context.Context, b registrar.Batch, head int64, changes []telephony.RegistrationChange) error {
	var all []store.Statement
	if len(b.Prolong) > 0 {
		all = append(all, prolongAll(b.Node, b.Prolong))
	}
	put, remove := fold(b.Put, b.Remove)
	if len(remove) > 0 {
		all = append(all, removeAll(remove))
	}
	if len(put) > 0 {
		query, args := bindingTable.Batch(put)
		all = append(all, store.Statement{Query: query, Args: args})
	}
	if len(changes) > 0 {
		all = append(all, appendAll(b.Node, head, changes))
	}
	if len(all) == 0 {
		return nil
	}
	affected, err := s.db.WriteAll(ctx, all...)
	if err != nil || affected[0] >= int64(len(b.Prolong)) {
		return err
	}
	// Another node has taken some of them over, and the phones have come back here.
	put, _ = fold(values(b.Prolong), nil)
	query, args := bindingTable.Batch(put)
	_, err = s.db.WriteAll(ctx, store.Statement{Query: query, Args: args})
	return err
}

func values(bindings []*registration.Binding) []registration.Binding {
	all := make([]registration.Binding, len(bindings))
	for i, b := range bindings {
		all[i] = *b
	}
	return all
}

// prolongAll touches no indexed column and little of the row, so that PostgreSQL neither writes an index nor grows the
// table for it.
func prolongAll(node string, bindings []*registration.Binding) store.Statement {
	columns := make([]int64, 4*len(bindings))
	rows, cseqs := columns[:len(bindings)], columns[len(bindings):2*len(bindings)]
	refreshed, expires := columns[2*len(bindings):3*len(bindings)], columns[3*len(bindings):]
	for i, b := range bindings {
		rows[i], cseqs[i] = b.Row, int64(b.CSeq)
		refreshed[i], expires[i] = store.Millis(b.RefreshedAt), store.Millis(b.Expires)
	}
	return store.Statement{Query: `UPDATE binding SET cseq = u.cseq, refreshed_at = u.refreshed_at, expires_at = u.expires_at
		FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS u (row_id, cseq, refreshed_at, expires_at)
		WHERE binding.row_id = u.row_id AND binding.node = $1`, Args: []any{node, rows, cseqs, refreshed, expires}}
}

// prolongEach is prolongAll for SQLite. It returns the rows that are to be written whole.
func prolongEach(ctx context.Context, tx store.Tx, b registrar.Batch) (missed [][]any, err error) {
	if len(b.Prolong) == 0 {
		return nil, nil
	}
	stmt, err := tx.Prepare(ctx, `UPDATE binding SET cseq = $1, refreshed_at = $2, expires_at = $3
		WHERE row_id = $4 AND node = $5`)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	for _, p := range b.Prolong {
		done, err := stmt.ExecContext(ctx, int64(p.CSeq), store.Millis(p.RefreshedAt), store.Millis(p.Expires), p.Row, b.Node)
		if err != nil {
			return nil, err
		}
		if n, err := done.RowsAffected(); err != nil {
			return nil, err
		} else if n == 0 {
			missed = append(missed, bindingRow(*p))
		}
	}
	return missed, nil
}

// checkBatch refuses text that a database would refuse in the middle of the batch.
func checkBatch(b registrar.Batch) error {
	for _, p := range b.Put { // what is prolonged was put once
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
func fold(bindings []registration.Binding, removals []registrar.Removal) (put, remove [][]any) {
	last := make(map[registration.Key]int, len(bindings))
	for i, p := range bindings {
		last[p.ID()] = i
	}
	for _, k := range slices.SortedFunc(maps.Keys(last), compareKeys) {
		put = append(put, bindingRow(bindings[last[k]]))
	}
	gone := slices.Clone(removals)
	slices.SortFunc(gone, func(a, b registrar.Removal) int { return compareKeys(a.Key, b.Key) })
	for _, k := range slices.Compact(gone) {
		if _, again := last[k.Key]; !again {
			remove = append(remove, []any{k.Node, string(k.Account), k.AoR.Domain, k.AoR.User, k.Key.Key})
		}
	}
	return put, remove
}

func compareKeys(a, b registration.Key) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.AoR.Domain, b.AoR.Domain),
		cmp.Compare(a.AoR.User, b.AoR.User), cmp.Compare(a.Key, b.Key))
}

func bindingRow(b registration.Binding) []any {
	own := ""
	if b.Flow.Local.IsValid() {
		own = b.Flow.Local.String()
	}
	return []any{string(b.Account), b.AoR.Domain, b.AoR.User, b.Key, b.Node, b.Contact, b.Instance, int64(b.RegID),
		int64(b.Q), b.CallID, int64(b.CSeq), b.Flow.Listener, string(b.Flow.Transport), b.Flow.RemoteText(), int64(b.Flow.ID),
		b.Path, b.Reachable, b.UserAgent,
		store.Millis(b.RegisteredAt), store.Millis(b.RefreshedAt), store.Millis(b.Expires),
		cmp.Or(b.Row, rand.Int64()), own} // nobody knows a row that was not named
}

// removeEach leaves alone what another node has taken over since.
func removeEach(ctx context.Context, tx store.Tx, keys [][]any) error {
	if len(keys) == 0 {
		return nil
	}
	return store.Loop(ctx, tx, `DELETE FROM binding WHERE node = $1 AND account_id = $2 AND domain = $3 AND username = $4
		AND binding_key = $5`, keys)
}

// removeAll is removeEach for PostgreSQL.
func removeAll(keys [][]any) store.Statement {
	return store.Statement{Query: `DELETE FROM binding WHERE (node, account_id, domain, username, binding_key) IN
		(SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]))`, Args: []any{
		store.Column[string](keys, 0), store.Column[string](keys, 1), store.Column[string](keys, 2),
		store.Column[string](keys, 3), store.Column[string](keys, 4)}}
}

const selectBindings = `SELECT account_id, domain, username, binding_key, node, contact, instance, reg_id, q, call_id,
	cseq, listener, transport, remote, flow, path, reachable, user_agent, registered_at, refreshed_at, expires_at,
	COALESCE(row_id, 0), COALESCE(own_address, '') FROM binding `

// Load returns the bindings that the node saved.
func (s *Store) Load(ctx context.Context, node string) ([]registration.Binding, error) {
	return s.bindings(ctx, selectBindings+`WHERE node = $1`, node)
}

// All returns the bindings of all nodes.
func (s *Store) All(ctx context.Context) ([]registration.Binding, error) {
	return s.bindings(ctx, selectBindings)
}

// Of returns the bindings of the AoRs, of all nodes.
func (s *Store) Of(ctx context.Context, aors []telephony.AoR) ([]registration.Binding, error) {
	if s.db.Dialect() == store.PostgreSQL {
		users, domains := make([]string, len(aors)), make([]string, len(aors))
		for i, a := range aors {
			users[i], domains[i] = a.User, a.Domain
		}
		return s.bindings(ctx, selectBindings+`WHERE (domain, username) IN (SELECT * FROM unnest($1::text[], $2::text[]))`,
			domains, users)
	}
	var found []registration.Binding
	for _, a := range aors {
		more, err := s.bindings(ctx, selectBindings+`WHERE domain = $1 AND username = $2`, a.Domain, a.User)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func (s *Store) bindings(ctx context.Context, query string, args ...any) (found []registration.Binding, err error) {
	err = s.db.Read(ctx, func(q store.Tx) error {
		found, err = readBindings(ctx, q, query, args...)
		return err
	})
	return found, away(err)
}

// readBindings runs a query that begins as selectBindings does.
func readBindings(ctx context.Context, q store.Tx, query string, args ...any) (found []registration.Binding, err error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var b registration.Binding
		var remote, own string
		var registered, refreshed, expires int64
		if err := rows.Scan(&b.Account, &b.AoR.Domain, &b.AoR.User, &b.Key, &b.Node, &b.Contact, &b.Instance, &b.RegID,
			&b.Q, &b.CallID, &b.CSeq, &b.Flow.Listener, &b.Flow.Transport, &remote, &b.Flow.ID, &b.Path, &b.Reachable,
			&b.UserAgent, &registered, &refreshed, &expires, &b.Row, &own); err != nil {
			return nil, err
		}
		b.Flow.Remote, _ = netip.ParseAddrPort(remote) // what was never valid stays so
		b.Flow.Local, _ = netip.ParseAddr(own)         // likewise
		b.RegisteredAt, b.RefreshedAt, b.Expires = store.Time(registered), store.Time(refreshed), store.Time(expires)
		found = append(found, b)
	}
	return found, rows.Err()
}
