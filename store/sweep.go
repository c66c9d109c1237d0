package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// sweepBatch is how many rows background work deletes in one transaction: others must not wait for it for long.
const sweepBatch = 500

// Sweep deletes the rows of a table that a condition holds for, a batch at a time. The condition calls the table t, and
// key lists the columns of its primary key.
func (db *DB) Sweep(ctx context.Context, table, key, where string, args ...any) error {
	statement := fmt.Sprintf(`DELETE FROM %s WHERE (%s) IN (SELECT %s FROM %s t WHERE %s LIMIT %d)`,
		table, key, key, table, where, sweepBatch)
	for {
		var gone int64
		err := db.Write(ctx, func(tx Tx) (err error) {
			gone, err = tx.Exec(ctx, statement, args...)
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep %s: %w", table, err)
		}
		if gone < sweepBatch {
			return nil
		}
	}
}

// SweepAllBut deletes all but the newest rows of each group. group lists text columns, order those that follow them and
// tell old from new; together they are or contain the primary key.
func (db *DB) SweepAllBut(ctx context.Context, keep int, table, group, order string) error {
	crowded, err := db.crowded(ctx, keep, table, group)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", table, err)
	}
	columns := strings.Split(group, ", ")
	same := make([]string, len(columns))
	for i, c := range columns {
		same[i] = fmt.Sprintf("%s = $%d", c, i+1)
	}
	in := strings.Join(same, " AND ")
	where := fmt.Sprintf(`%s AND (%s) NOT IN (SELECT %s FROM %s WHERE %s ORDER BY %s DESC LIMIT %d)`,
		in, order, order, table, in, strings.ReplaceAll(order, ", ", " DESC, "), keep)
	for values := range slices.Chunk(crowded, len(columns)) {
		if err := db.Sweep(ctx, table, group+", "+order, where, values...); err != nil {
			return err
		}
	}
	return nil
}

// crowded returns the columns of groups with more rows than are kept, group after group.
func (db *DB) crowded(ctx context.Context, keep int, table, group string) ([]any, error) {
	width := strings.Count(group, ",") + 1
	var all []any
	err := db.Read(ctx, func(q Tx) error {
		rows, err := q.Query(ctx, fmt.Sprintf(`SELECT %s FROM %s GROUP BY %s HAVING COUNT(*) > %d`, group, table, group,
			keep))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			values, into := make([]string, width), make([]any, width)
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return err
			}
			for _, v := range values {
				all = append(all, v)
			}
		}
		return rows.Err()
	})
	return all, err
}
