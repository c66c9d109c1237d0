package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNameTaken says that another process has the name.
var ErrNameTaken = errors.New("another process that is connected to this database has the name")

// Name is a name that one process at a time has: on PostgreSQL by a lock that ends with its connection, however the process ends. On
// SQLite there is one process. Its methods are safe for concurrent use.
type Name struct {
	db   *DB
	name string

	mu   sync.Mutex
	conn *pgx.Conn // that has the lock; nil while nothing has
}

// NewName returns a name that is not taken yet.
func NewName(db *DB, name string) *Name { return &Name{db: db, name: name} }

// Take takes the name, or makes sure that it is still ours: the connection may have been lost since. It fails with ErrNameTaken
// while another process has it.
func (n *Name) Take(ctx context.Context) error {
	if n.db.dialect != PostgreSQL {
		return nil
	}
	ctx, cancel := n.db.bound(ctx)
	defer cancel()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn != nil {
		if n.conn.Ping(ctx) == nil {
			return nil
		}
		n.drop()
	}
	return classify(n.take(ctx))
}

func (n *Name) take(ctx context.Context) error {
	pooled, err := n.db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	n.conn = pooled.Hijack() // the lock is the connection's
	var ours bool
	err = n.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, n.name).Scan(&ours)
	if err == nil && !ours {
		err = fmt.Errorf("%w %q", ErrNameTaken, n.name)
	}
	if err != nil {
		n.drop()
	}
	return err
}

// Evict ends the connection that has the name, when that is known to be nobody's any more: PostgreSQL may take hours to notice. The
// name can be taken soon after.
func (n *Name) Evict(ctx context.Context) error {
	return n.db.Write(ctx, func(tx Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(l.pid) FROM pg_locks l, (SELECT hashtextextended($1, 0) AS key) k
			WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted AND l.pid <> pg_backend_pid()
			AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND (l.classid::bigint << 32) + l.objid::bigint = k.key`, n.name)
		return err
	})
}

// Release gives the name back.
func (n *Name) Release() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drop()
}

func (n *Name) drop() {
	if n.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = n.conn.Close(ctx) // the lock ends with it
	n.conn = nil
}
