package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"demarc/store"
)

// cluster is the one PostgreSQL of this test binary. It listens on a Unix socket only.
var cluster struct {
	once     sync.Once
	err      error
	dir      string
	server   *exec.Cmd
	exited   chan error
	template sync.Mutex // CREATE DATABASE … TEMPLATE wants the template to itself
	number   atomic.Int64
}

// freshDatabase copies the migrated template.
func freshDatabase(ctx context.Context) (string, error) {
	cluster.once.Do(func() { cluster.err = startCluster(ctx) })
	if cluster.err != nil {
		return "", cluster.err
	}
	name := "t" + strconv.FormatInt(cluster.number.Add(1), 10)
	cluster.template.Lock()
	defer cluster.template.Unlock()
	if err := execute(ctx, "CREATE DATABASE "+name+" TEMPLATE migrated"); err != nil {
		return "", err
	}
	return databaseURL(name), nil
}

func databaseURL(name string) string {
	return "postgres:///" + name + "?host=" + cluster.dir + "&user=demarc"
}

func execute(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, databaseURL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func startCluster(ctx context.Context) error {
	bin, err := serverBinaries()
	if err != nil {
		return err
	}
	// A socket's path may have 107 bytes: the directory is short and not below the test's own.
	if cluster.dir, err = os.MkdirTemp("", "demarc-pg-"); err != nil {
		return err
	}
	credential, err := unprivileged(cluster.dir)
	if err != nil {
		return err
	}
	files := filepath.Join(cluster.dir, "files")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", files, "-U", "demarc", "-A", "trust",
		"-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	initdb.Dir = cluster.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	cluster.server = exec.Command(filepath.Join(bin, "postgres"), "-D", files, "-k", cluster.dir,
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB",
		"-c", "log_min_messages=panic")
	cluster.server.Dir = cluster.dir
	// The server ends with the test binary even when that is killed.
	cluster.server.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Pdeathsig: syscall.SIGQUIT}
	if err := startServer(); err != nil {
		return err
	}
	if err := awaitServer(ctx); err != nil {
		return err
	}
	return migrateTemplate(ctx)
}

// startServer starts PostgreSQL from a thread of its own: Pdeathsig fires when the starting thread ends.
func startServer() error {
	cluster.exited = make(chan error, 1)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := cluster.server.Start()
		started <- err
		if err == nil {
			cluster.exited <- cluster.server.Wait()
		}
	}()
	return <-started
}

func awaitServer(ctx context.Context) error {
	deadline := time.Now().Add(60 * time.Second)
	for {
		err := execute(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL did not come up: %w", err)
		}
		select {
		case err := <-cluster.exited:
			return fmt.Errorf("PostgreSQL ended at once: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func migrateTemplate(ctx context.Context) error {
	if err := execute(ctx, "CREATE DATABASE migrated"); err != nil {
		return err
	}
	db, err := store.Open(ctx, store.Config{URL: databaseURL("migrated")})
	if err != nil {
		return err
	}
	return errors.Join(db.Migrate(ctx), db.Close())
}

func stopCluster() error {
	if cluster.dir == "" {
		return nil
	}
	if cluster.server != nil && cluster.server.Process != nil {
		_ = cluster.server.Process.Signal(syscall.SIGQUIT) // immediate shutdown: nothing here is kept
		select {
		case <-cluster.exited:
		case <-time.After(30 * time.Second):
			return errors.New("PostgreSQL did not end")
		}
	}
	return os.RemoveAll(cluster.dir)
}

// serverBinaries finds initdb and postgres; Debian keeps them off the PATH.
func serverBinaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[0]), nil
	}
	return "", errors.New("these tests need a PostgreSQL server: install Debian's package postgresql (make test does)")
}

// unprivileged returns the user to run PostgreSQL as, because it refuses root, and gives the directory to them.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.Atoi(u.Uid)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.Atoi(u.Gid)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
	}
	return nil, errors.New("PostgreSQL refuses to run as root and there is no user postgres or nobody")
}
