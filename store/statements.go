package store

import (
	"context"
	"database/sql"
	"sync"
)

// maxStatements bounds the texts that are kept: some are made for a number of values, and then there are many.
const maxStatements = 256

// statements keeps the prepared reads of SQLite: to read the text of a query often costs more than its rows. pgx keeps
// those of PostgreSQL by itself.
type statements struct {
	pool    *sql.DB
	readers chan struct{} // holds one for each transaction; the pool has a connection more, to prepare on

	mu  sync.Mutex // held while preparing: the spare connection is for one
	all map[string]*sql.Stmt
}

func newStatements(pool *sql.DB, readers int) *statements {
	pool.SetMaxOpenConns(readers + 1)
	pool.SetMaxIdleConns(readers + 1)
	return &statements{pool: pool, readers: make(chan struct{}, readers), all: make(map[string]*sql.Stmt)}
}

// begin waits for a place among the readers.
func (s *statements) begin(ctx context.Context) error {
	select {
	case s.readers <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *statements) end() { <-s.readers }

// of returns the statement for a query, or nil when it is not kept.
func (s *statements) of(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt := s.all[query]; stmt != nil || len(s.all) >= maxStatements {
		return stmt, nil
	}
	stmt, err := s.pool.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.all[query] = stmt
	return stmt, nil
}
