package provisioning

import (
	"context"
	"fmt"
	"strings"

	"demarc/store"
)

// batch writes many rows of one statement: PostgreSQL gets one statement with an array per column, SQLite a prepared
// statement in a loop. A key must stand in it once.
type batch struct {
	columns []column
	rows    [][]any // string, int64 or []byte, as the column says
}

type column struct {
	name string
	typ  string // text, bigint or bytea
}

func newBatch(columns ...string) *batch {
	b := &batch{}
	for _, c := range columns {
		name, typ, _ := strings.Cut(c, " ")
		if typ == "" {
			typ = "text"
		}
		b.columns = append(b.columns, column{name, typ})
	}
	return b
}

func (b *batch) add(values ...any) { b.rows = append(b.rows, values) }

// insert runs INSERT INTO table (columns) with the rows; conflict is what follows, for example ON CONFLICT ….
func (b *batch) insert(ctx context.Context, tx store.Tx, dialect store.Dialect, table, conflict string) error {
	names := make([]string, len(b.columns))
	for i, c := range b.columns {
		names[i] = c.name
	}
	return b.run(ctx, tx, dialect, `INSERT INTO `+table+` (`+strings.Join(names, ", ")+`) `, ` `+conflict)
}

// run executes before + rows + after, where the rows are a SELECT from unnest or a VALUES list.
func (b *batch) run(ctx context.Context, tx store.Tx, dialect store.Dialect, before, after string) error {
	if len(b.rows) == 0 {
		return nil
	}
	if dialect == store.PostgreSQL {
		return b.unnest(ctx, tx, before, after)
	}
	stmt, err := tx.Prepare(ctx, before+`VALUES (`+store.Placeholders(1, len(b.columns))+`)`+after)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, row := range b.rows {
		if _, err := stmt.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) unnest(ctx context.Context, tx store.Tx, before, after string) error {
	arrays := make([]string, len(b.columns))
	args := make([]any, len(b.columns))
	for i, c := range b.columns {
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, c.typ)
		switch c.typ {
		case "bigint":
			args[i] = pick[int64](b.rows, i)
		case "bytea":
			args[i] = pick[[]byte](b.rows, i)
		default:
			args[i] = pick[string](b.rows, i)
		}
	}
	_, err := tx.Exec(ctx, before+`SELECT * FROM unnest(`+strings.Join(arrays, ", ")+`)`+after, args...)
	return err
}

func pick[T any](rows [][]any, i int) []T {
	list := make([]T, len(rows))
	for n, row := range rows {
		list[n] = row[i].(T)
	}
	return list
}

// updates is the SET part of an upsert for all columns but the first keys.
func (b *batch) updates(keys int) string {
	parts := make([]string, 0, len(b.columns))
	for _, c := range b.columns[keys:] {
		parts = append(parts, c.name+" = excluded."+c.name)
	}
	return strings.Join(parts, ", ")
}
