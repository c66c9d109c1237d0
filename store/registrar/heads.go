package registrar

import (
	"context"
	"math"
	"sync"

	"demarc/store"
	"demarc/telephony"
)

// PostgreSQL may commit and then lose the connection before it says so. Whoever writes again would tell everything twice: feed rows are
// numbered anew each time. So a node writes on from the number that it knows to be its last, and a transaction that finds another one
// there does nothing at all, whether it comes late or again (docs/adr/0029-written-once.md).

// heads are the numbers of the last changes of nodes that this process has written.
type heads struct {
	sync.Mutex // held by who writes on from one
	known      map[string]int64
}

// numbered runs a transaction on PostgreSQL that appends changes of a node by appendAll, and returns how many. When the feed has grown
// since this process wrote to it last, what stands there already is left out, and it is run again.
func (s *Store) numbered(ctx context.Context, node string, changes []telephony.RegistrationChange,
	write func(head int64, changes []telephony.RegistrationChange) (appended int, err error)) error {
	s.heads.Lock()
	defer s.heads.Unlock()
	head, err := s.head(ctx, node)
	for tries := 0; err == nil; tries++ {
		var appended int
		appended, err = write(head, changes)
		switch {
		case err == nil:
			s.heads.known[node] = head + int64(appended)
			return nil
		case !store.IsNull(err) || tries == 3:
			return err
		}
		head, changes, err = s.unwritten(ctx, node, head, changes)
	}
	return err
}

// head returns the number of the last change of a node, as this process knows it.
func (s *Store) head(ctx context.Context, node string) (last int64, err error) {
	if last, known := s.heads.known[node]; known {
		return last, nil
	}
	err = s.db.Write(ctx, func(tx store.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO registration_node (node, last) VALUES ($1, 0) ON CONFLICT (node) DO NOTHING`, node); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT last FROM registration_node WHERE node = $1`, node).Scan(&last)
	})
	if err == nil {
		if s.heads.known == nil {
			s.heads.known = make(map[string]int64)
		}
		s.heads.known[node] = last
	}
	return last, err
}

// unwritten returns the number of a node's last change, and those of the changes that are not among what follows another number.
func (s *Store) unwritten(ctx context.Context, node string, after int64, changes []telephony.RegistrationChange) (
	last int64, left []telephony.RegistrationChange, err error) {
	var written []telephony.RegistrationChange
	err = s.db.Read(ctx, func(q store.Tx) error {
		if err := q.QueryRow(ctx, `SELECT last FROM registration_node WHERE node = $1`, node).Scan(&last); err != nil {
			return err
		}
		written, err = readChanges(ctx, q, node, after, math.MaxInt32)
		return err
	})
	if err != nil {
		return 0, nil, err
	}
	s.heads.known[node] = last
	there := make(map[[13]any]int, len(written)) // by what a row says; the same may have happened twice
	for _, c := range written {
		there[[13]any(changeRow(c))]++
	}
	for _, c := range changes {
		if key := [13]any(changeRow(c)); there[key] > 0 {
			there[key]--
		} else {
			left = append(left, c)
		}
	}
	return last, left, nil
}

// appendAll is appendEach for PostgreSQL, in one statement. When head is not the number of the node's last change the rows have none, and
// the transaction fails: store.IsNull.
func appendAll(node string, head int64, changes []telephony.RegistrationChange) store.Statement {
	rows := make([][]any, len(changes))
	for i, c := range changes {
		rows[i] = append(changeRow(c), int64(i)+1, node)
	}
	arrays, args := changeTable.Arrays(rows)
	return store.Statement{Query: `WITH counter AS (UPDATE registration_node SET last = last + $17 WHERE node = $16 AND last = $18
			RETURNING $18::bigint AS head)
		INSERT INTO registration_change (` + changeColumns + `, n, node)
		SELECT ` + changeColumns + `, (SELECT head FROM counter) + n, node
		FROM unnest(` + arrays + `) AS u (` + changeColumns + `, n, node)`,
		Args: append(args, node, len(changes), head)}
}
