package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Table describes the columns of a batched write.
type Table struct {
	Name    string
	Columns []string // each is "name" or "name type", text when no type stands: bigint, boolean, bytea
	Key     string   // the key's columns; a row that is there has its other columns updated. Empty: plain insert
	Once    string   // columns that stay as they are in a row that is there: SQLite writes their indexes again even for the same value
	Unless  bool     // a row that is there stays as it is
	Where   string   // a condition for the update of a row that is there: fences an older writer
}

// Write inserts or updates rows: PostgreSQL takes one statement with an array per column, SQLite a prepared statement
// in a loop. No key may stand twice.
func (t Table) Write(ctx context.Context, tx Tx, dialect Dialect, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if dialect == PostgreSQL {
		query, args := t.Batch(rows)
		_, err := tx.Exec(ctx, query, args...)
		return err
	}
	into, names := t.into()
	// SQLite works in this process: nothing is waited for that a context could end, but it would cost a goroutine for each row.
	ctx = context.WithoutCancel(ctx)
	// Its driver reads the name of each numbered parameter again for every row; those without a number just come in order.
	return Loop(ctx, tx, into+"VALUES (?"+strings.Repeat(", ?", len(names)-1)+")"+t.conflict(names), rows)
}

// Batch is the one statement for PostgreSQL; its text is always the same, so that it is prepared once.
func (t Table) Batch(rows [][]any) (query string, args []any) {
	into, names := t.into()
	arrays, args := t.Arrays(rows)
	return into + "SELECT * FROM unnest(" + arrays + ")" + t.conflict(names), args
}

func (t Table) into() (text string, names []string) {
	names = make([]string, len(t.Columns))
	for i := range t.Columns {
		names[i], _ = t.column(i)
	}
	return "INSERT INTO " + t.Name + " (" + strings.Join(names, ", ") + ") ", names
}

func (t Table) conflict(names []string) string {
	if t.Key == "" {
		return ""
	}
	if t.Unless {
		return " ON CONFLICT (" + t.Key + ") DO NOTHING"
	}
	kept := strings.Split(t.Key+", "+t.Once, ", ")
	var sets []string
	for _, n := range names {
		if !slices.Contains(kept, n) {
			sets = append(sets, n+" = excluded."+n)
		}
	}
	update := " ON CONFLICT (" + t.Key + ") DO UPDATE SET " + strings.Join(sets, ", ")
	if t.Where != "" {
		update += " WHERE " + t.Where
	}
	return update
}

func (t Table) column(i int) (name, typ string) {
	name, typ, ok := strings.Cut(t.Columns[i], " ")
	if !ok {
		typ = "text"
	}
	return name, typ
}

// Arrays returns the columns as parameters from $1 on, for PostgreSQL's unnest.
func (t Table) Arrays(rows [][]any) (string, []any) {
	arrays, args := make([]string, len(t.Columns)), make([]any, len(t.Columns))
	for i := range t.Columns {
		_, typ := t.column(i)
		arrays[i] = fmt.Sprintf("$%d::%s[]", i+1, typ)
		switch typ {
		case "bigint":
			args[i] = Column[int64](rows, i)
		case "boolean":
			args[i] = Column[bool](rows, i)
		case "bytea":
			args[i] = Column[[]byte](rows, i)
		default:
			args[i] = Column[string](rows, i)
		}
	}
	return strings.Join(arrays, ", "), args
}

// Loop runs a prepared statement once per row.
func Loop(ctx context.Context, tx Tx, query string, rows [][]any) error {
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

// Column returns the values of one column, as an array parameter for PostgreSQL.
func Column[T any](rows [][]any, i int) []T {
	values := make([]T, len(rows))
	for r, row := range rows {
		values[r] = row[i].(T)
	}
	return values
}
