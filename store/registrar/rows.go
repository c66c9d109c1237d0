package registrar

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"demarc/store"
)

// table describes the columns of a batched write; each is "name" or "name type", text when no type stands.
type table struct {
	name    string
	columns []string
	key     string // the key's columns; a repeated key updates the other columns. Empty: plain insert
}

// write inserts or updates rows: PostgreSQL takes one statement with an array per column, SQLite a prepared statement
// in a loop. No key may stand twice.
func (t table) write(ctx context.Context, tx store.Tx, dialect store.Dialect, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if dialect == store.PostgreSQL {
		query, args := t.batch(rows)
		_, err := tx.Exec(ctx, query, args...)
		return err
	}
	into, names := t.into()
	return loop(ctx, tx, into+"VALUES ("+store.Placeholders(1, len(names))+")"+t.conflict(names), rows)
}

// batch is the one statement for PostgreSQL; its text is always the same, so that it is prepared once.
func (t table) batch(rows [][]any) (query string, args []any) {
	into, names := t.into()
	arrays, args := t.arrays(rows)
	return into + "SELECT * FROM unnest(" + arrays + ")" + t.conflict(names), args
}

func (t table) into() (text string, names []string) {
	names = make([]string, len(t.columns))
	for i := range t.columns {
		names[i], _ = t.column(i)
	}
	return "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ") ", names
}

func (t table) conflict(names []string) string {
	if t.key == "" {
		return ""
	}
	keys := strings.Split(t.key, ", ")
	var sets []string
	for _, n := range names {
		if !slices.Contains(keys, n) {
			sets = append(sets, n+" = excluded."+n)
		}
	}
	return " ON CONFLICT (" + t.key + ") DO UPDATE SET " + strings.Join(sets, ", ")
}

func (t table) column(i int) (name, typ string) {
	name, typ, ok := strings.Cut(t.columns[i], " ")
	if !ok {
		typ = "text"
	}
	return name, typ
}

func (t table) arrays(rows [][]any) (string, []any) {
	arrays, args := make([]string, len(t.columns)), make([]any, len(t.columns))
	for i := range t.columns {
		_, typ := t.column(i)
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, typ)
		switch typ {
		case "bigint":
			args[i] = pick[int64](rows, i)
		case "boolean":
			args[i] = pick[bool](rows, i)
		case "bytea":
			args[i] = pick[[]byte](rows, i)
		default:
			args[i] = pick[string](rows, i)
		}
	}
	return strings.Join(arrays, ", "), args
}

// loop runs a prepared statement once per row.
func loop(ctx context.Context, tx store.Tx, query string, rows [][]any) error {
	stmt, err := tx.Prepare(ctx, query)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, row := range rows {
		if _, err := stmt.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return nil
}

func pick[T any](rows [][]any, i int) []T {
	values := make([]T, len(rows))
	for r, row := range rows {
		values[r] = row[i].(T)
	}
	return values
}
