package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the "sqlite" driver of database/sql
)

func (db *DB) openSQLite(ctx context.Context, path string, readers int) error {
	db.dialect = SQLite
	if path == "" {
		return errors.New("store: sqlite: needs a path, for example sqlite:/var/lib/demarc/demarc.db")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := db.lockFile(path + ".lock"); err != nil {
		return err
	}
	pragmas := []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}
	// A page that many transactions change goes from the log to its place in the file once for all of them: 16 MB of log instead of 4.
	// What one transaction changes stays in memory until its commit, 8 MB of it: else it goes to the log twice.
	write := url.Values{"_pragma": append(slices.Clone(pragmas), "wal_autocheckpoint(4000)", "cache_size(-8000)"), "_txlock": {"immediate"}}
	read := url.Values{"_pragma": append(slices.Clone(pragmas), "query_only(1)")}
	file := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" // a directory's name may hold what means something there
	var err error
	if db.write, err = sql.Open("sqlite", file+write.Encode()); err == nil {
		db.write.SetMaxOpenConns(1)
		db.write.SetMaxIdleConns(1)
		err = db.write.PingContext(ctx) // makes the file and turns WAL on before the first reader
	}
	if err == nil {
		db.read, err = sql.Open("sqlite", file+read.Encode())
	}
	if err == nil {
		db.reads = newStatements(db.read, readers)
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		_ = db.Close()
		return fmt.Errorf("store: cannot open %s: %w", path, err)
	}
	return nil
}

// lockFile keeps a second process away: two of them would each believe to be the only writer of the change feed.
func (db *DB) lockFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return fmt.Errorf("store: another demarc process holds %s: stop it, use another data directory, "+
			"or use PostgreSQL for several nodes: %w", path, err)
	}
	db.lock = f
	return nil
}

func (db *DB) openPostgreSQL(ctx context.Context, dsn string, conns int) error {
	db.dialect = PostgreSQL
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The parser's own error may quote the URL with its password.
		return errors.New("store: the PostgreSQL URL cannot be read; write " +
			"postgres://user:password@host:5432/database?sslmode=verify-full")
	}
	config.MaxConns = int32(conns)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	db.pool = pool
	if db.keyed, err = openKeyed(ctx, config); err != nil {
		pool.Close()
		return fmt.Errorf("store: %w", err)
	}
	db.write = stdlib.OpenDBFromPool(pool)
	db.read = db.write
	if err := pool.Ping(ctx); err != nil {
		_ = db.Close()
		// The driver tells each address on a line of its own.
		return fmt.Errorf("%w: start PostgreSQL, or correct store.url: %s", ErrUnavailable,
			strings.Join(strings.Fields(err.Error()), " "))
	}
	return nil
}

// keyedConns is how many connections WriteAll has for itself.
const keyedConns = 2

// openKeyed opens the connections of WriteAll, whose statements find each row by its key. PostgreSQL takes probing an index
// for dear and would read the whole table for a few dozen rows. With everything else made dearer still, the plan is the same
// whatever the tables hold, so that one is made for all.
func openKeyed(ctx context.Context, c *pgxpool.Config) (*pgxpool.Pool, error) {
	c = c.Copy()
	c.MaxConns = keyedConns
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
			SET random_page_cost = 0.01; SET seq_page_cost = 0.01; SET plan_cache_mode = force_generic_plan`)
		return err
	}
	return pgxpool.NewWithConfig(ctx, c)
}
