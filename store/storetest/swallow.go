package storetest

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"demarc/store"
)

// Swallower stands between a store and its PostgreSQL, and can lose an answer: the database has done what it was asked, and
// whoever asked does not hear of it.
type Swallower struct {
	t testing.TB

	mu    sync.Mutex
	words []byte // of the question whose answer is lost; nil: none
	lost  int
}

// Swallowing returns a store on a fresh migrated database whose answers can be lost.
func Swallowing(t testing.TB) (*store.DB, *Swallower) {
	t.Helper()
	url := PostgreSQLURL(t)
	dir, err := os.MkdirTemp("", "demarc-sw-") // short, as a socket's path must be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	const socket = ".s.PGSQL.5432"
	l, err := net.Listen("unix", filepath.Join(dir, socket))
	if err != nil {
		t.Fatal(err)
	}
	s := &Swallower{t: t}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { s.carry(client, filepath.Join(cluster.dir, socket)) })
		}
	})
	t.Cleanup(func() { // after the store is closed
		_ = l.Close()
		running.Wait()
	})
	return open(t, strings.Replace(url, cluster.dir, dir, 1)), s
}

// Swallow loses the answer to the next question that holds the words, and the connection that it was asked over.
func (s *Swallower) Swallow(words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.words = []byte(words)
}

// Lost says how many answers were lost.
func (s *Swallower) Lost() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// takes reports whether the answer to a question is to be lost.
func (s *Swallower) takes(question []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.words == nil || !bytes.Contains(question, s.words) {
		return false
	}
	s.words = nil
	s.lost++
	return true
}

// carry carries one connection. An answer that comes is the whole answer as far as it matters here: PostgreSQL says nothing before it has
// done all that was asked, the commit included.
func (s *Swallower) carry(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("unix", to)
	if err != nil {
		s.t.Error(err)
		return
	}
	var loses atomic.Bool
	var answers sync.WaitGroup
	defer answers.Wait()
	defer server.Close()
	answers.Go(func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || loses.Load() {
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		loses.Store(loses.Load() || s.takes(buffer[:n]))
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}
