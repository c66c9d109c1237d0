package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Dialect is the database under the store.
type Dialect string

// The dialects.
const (
	SQLite     Dialect = "sqlite"
	PostgreSQL Dialect = "postgres"
)

// Config says where the store is.
type Config struct {
	// URL is "sqlite:PATH" or "postgres://user:password@host/database". It may hold a password: never log it.
	URL string
	// Timeout bounds one transaction when its context has no deadline; 10 s when 0.
	Timeout time.Duration
	// Connections is the number of concurrent readers on SQLite, or of connections on PostgreSQL; 8 when 0.
	Connections int
	Log         *slog.Logger
}

// DB is an open store.
type DB struct {
	dialect Dialect
	timeout time.Duration
	write   *sql.DB
	read    *sql.DB
	pool    *pgxpool.Pool // PostgreSQL only
	keyed   *pgxpool.Pool // PostgreSQL only, for WriteAll
	lock    *os.File      // SQLite only
	reads   *statements   // SQLite only
	log     *slog.Logger
}

// Open opens the store; it does not migrate.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Connections == 0 {
		c.Connections = 8
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	db := &DB{timeout: c.Timeout, log: c.Log}
	var err error
	switch {
	case strings.HasPrefix(c.URL, "sqlite:"):
		err = db.openSQLite(ctx, strings.TrimPrefix(c.URL, "sqlite:"), c.Connections)
	case strings.HasPrefix(c.URL, "postgres://"), strings.HasPrefix(c.URL, "postgresql://"):
		err = db.openPostgreSQL(ctx, c.URL, c.Connections)
	default:
		err = fmt.Errorf("store: the URL must begin with sqlite: or postgres://")
	}
	if err != nil {
		return nil, err
	}
	return db, nil
}

// Dialect returns the database under the store.
func (db *DB) Dialect() Dialect { return db.dialect }

// Close closes all connections and lets another process open the store.
func (db *DB) Close() error {
	var first error
	for _, c := range []*sql.DB{db.read, db.write} {
		if c == nil {
			continue
		}
		if err := c.Close(); err != nil && first == nil {
			first = err
		}
	}
	for _, p := range []*pgxpool.Pool{db.pool, db.keyed} {
		if p != nil {
			p.Close()
		}
	}
	if db.lock != nil {
		_ = db.lock.Close() // closing releases the lock
	}
	return first
}

// Ping answers whether the store takes transactions.
func (db *DB) Ping(ctx context.Context) error {
	return db.Read(ctx, func(q Tx) error {
		var one int
		return q.QueryRow(ctx, `SELECT 1`).Scan(&one)
	})
}

// Millis turns a time into its stored form; the zero time is 0.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time turns the stored form back.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
