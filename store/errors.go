package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrUnavailable says that the store could not take the transaction now: it is locked, away, or too slow. Nothing was
// decided about the request; callers answer 503 and never 401.
var ErrUnavailable = errors.New("the store is not available")

// ErrText says that a text cannot be stored: it holds NUL or is not UTF-8.
var ErrText = errors.New("text with a NUL byte or invalid UTF-8 cannot be stored")

// CheckText refuses what PostgreSQL would refuse in the middle of a batch, so that one row never fails another's.
func CheckText(texts ...string) error {
	for _, s := range texts {
		if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
			return fmt.Errorf("%w: %.40q", ErrText, s)
		}
	}
	return nil
}

// IsConflict reports whether a unique key or a primary key was violated.
func IsConflict(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// IsNull reports whether a column that must have a value got none.
func IsNull(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23502"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqlite3.SQLITE_CONSTRAINT_NOTNULL
}

// NoRows reports whether a single-row query found nothing.
func NoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// retryable reports whether the database asks to run the whole transaction again (serialization failure, deadlock).
func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// classify adds ErrUnavailable to errors that say nothing about the request.
func classify(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || !unavailable(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func unavailable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// 08 connection, 40 conflicts that outlived the retries, 53 resources, 57 operator, 58 system, 25006 read-only
		class := pg.Code[:min(2, len(pg.Code))]
		return strings.Contains("08 40 53 57 58", class) || pg.Code == "25006"
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
			sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT:
			return true
		}
		return false
	}
	if errors.Is(err, context.Canceled) {
		return false // the caller has gone
	}
	var connect *pgconn.ConnectError
	var netErr net.Error
	return errors.As(err, &connect) || errors.As(err, &netErr) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed)
}
