package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Tx runs statements of one transaction. Parameters are $1, $2, … on both databases, each as often as needed.
type Tx interface {
	Exec(ctx context.Context, query string, args ...any) (rowsAffected int64, err error)
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
	// Prepare serves loops over one statement; it is closed with the transaction.
	Prepare(ctx context.Context, query string) (*sql.Stmt, error)
}

// Read runs fn in a read-only transaction: all its statements see one snapshot.
func (db *DB) Read(ctx context.Context, fn func(q Tx) error) error {
	ctx, cancel := db.bound(ctx)
	defer cancel()
	opts := &sql.TxOptions{ReadOnly: true}
	if db.dialect == PostgreSQL {
		opts.Isolation = sql.LevelRepeatableRead
	}
	if db.reads != nil {
		if err := db.reads.begin(ctx); err != nil {
			return classify(err)
		}
		defer db.reads.end()
	}
	return classify(db.once(ctx, db.read, opts, fn))
}

// Write runs fn in one transaction and commits it. When the database asks for it the whole transaction is run again, so
// fn must have no effect but through tx.
func (db *DB) Write(ctx context.Context, fn func(tx Tx) error) error {
	ctx, cancel := db.bound(ctx)
	defer cancel()
	return classify(db.tried(ctx, func() error { return db.once(ctx, db.write, nil, fn) }))
}

// Statement is one of several that are sent together.
type Statement struct {
	Query string
	Args  []any
}

// WriteAll runs statements in one transaction and returns how many rows each has affected. PostgreSQL gets all of them, and
// the commit, with one question: none can depend on another's answer. The statements find their rows by key.
func (db *DB) WriteAll(ctx context.Context, all ...Statement) (affected []int64, err error) {
	if db.dialect == PostgreSQL {
		ctx, cancel := db.bound(ctx)
		defer cancel()
		err = db.tried(ctx, func() error {
			affected, err = db.pipeline(ctx, all)
			return err
		})
		return affected, classify(err)
	}
	err = db.Write(ctx, func(tx Tx) error {
		affected = make([]int64, len(all))
		for i, s := range all {
			if affected[i], err = tx.Exec(ctx, s.Query, s.Args...); err != nil {
				return err
			}
		}
		return nil
	})
	return affected, err
}

// pipeline sends statements up to one Sync, which makes them one transaction (PostgreSQL's manual, 55.2.3).
func (db *DB) pipeline(ctx context.Context, all []Statement) ([]int64, error) {
	affected := make([]int64, len(all))
	if len(all) == 1 {
		tag, err := db.keyed.Exec(ctx, all[0].Query, all[0].Args...)
		affected[0] = tag.RowsAffected()
		return affected, err
	}
	var batch pgx.Batch
	for _, s := range all {
		batch.Queue(s.Query, s.Args...)
	}
	results := db.keyed.SendBatch(ctx, &batch)
	for i := range all {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close() // it says the same
			return nil, err
		}
		affected[i] = tag.RowsAffected()
	}
	return affected, results.Close() // the commit's own failure shows here
}

// tried runs a transaction again for as long as the database asks for that.
func (db *DB) tried(ctx context.Context, transaction func() error) error {
	const tries = 4
	var err error
	for range tries {
		if err = transaction(); !retryable(err) || ctx.Err() != nil {
			break
		}
	}
	return err
}

func (db *DB) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, db.timeout)
}

func (db *DB) once(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, fn func(Tx) error) error {
	tx, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	t := &sqlTx{tx: tx, dialect: db.dialect}
	if pool == db.read && db.reads != nil {
		t.reads = db.reads
	}
	if err = fn(t); err == nil {
		err = tx.Commit()
	}
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		return ctx.Err() // database/sql has rolled it back, because its time is over
	}
	return err
}

type sqlTx struct {
	tx      *sql.Tx
	dialect Dialect
	reads   *statements // nil in what writes
}

func (t *sqlTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, t.rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *sqlTx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	query = t.rebind(query)
	if stmt, err := t.kept(ctx, query); err != nil {
		return nil, err
	} else if stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return t.tx.QueryContext(ctx, query, args...)
}

// kept returns a prepared statement, or nil when the query's are not kept.
func (t *sqlTx) kept(ctx context.Context, query string) (*sql.Stmt, error) {
	if t.reads == nil {
		return nil, nil
	}
	stmt, err := t.reads.of(ctx, query)
	if stmt == nil || err != nil {
		return nil, err
	}
	return t.tx.StmtContext(ctx, stmt), nil
}

func (t *sqlTx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	query = t.rebind(query)
	if stmt, err := t.kept(ctx, query); err == nil && stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return t.tx.QueryRowContext(ctx, query, args...)
}

func (t *sqlTx) Prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	return t.tx.PrepareContext(ctx, t.rebind(query))
}

// rebind turns $1 into ?1 for SQLite, outside of quoted text.
func (t *sqlTx) rebind(query string) string {
	if t.dialect == PostgreSQL {
		return query
	}
	b := []byte(query)
	quoted := false
	for i, ch := range b {
		if ch == '\'' {
			quoted = !quoted
		}
		if ch == '$' && !quoted && i+1 < len(b) && b[i+1] >= '1' && b[i+1] <= '9' {
			b[i] = '?'
		}
	}
	return string(b)
}

// Placeholders returns "$from, …, $(from+n-1)" for lists of a known small length.
func Placeholders(from, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = "$" + strconv.Itoa(from+i)
	}
	return strings.Join(parts, ", ")
}
