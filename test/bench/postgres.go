package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgres is a scratch cluster with PostgreSQL's own defaults, fsync included, reached over loopback.
type postgres struct {
	*process
	bin, host, port string
}

func startPostgres(ctx context.Context, dir string) (*postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return nil, errors.New("PostgreSQL is not installed: test/setup/packages bench")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	as, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	p := &postgres{bin: filepath.Dir(found[0])}
	files := filepath.Join(dir, "files")
	initdb := exec.CommandContext(ctx, found[0], "-D", files, "-U", "demarc", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	if p.host, p.port, err = net.SplitHostPort(ports[0]); err != nil {
		return nil, err
	}
	p.process, err = start(as, dir, filepath.Join(p.bin, "postgres"), "-D", files, "-k", dir,
		"-c", "listen_addresses="+p.host, "-c", "port="+p.port)
	if err != nil {
		return nil, err
	}
	if err := p.await(ctx, func(ctx context.Context) error { return p.run(ctx, "postgres", "-c", "SELECT 1") }); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

// create makes a database, with the tables of the given files.
func (p *postgres) create(ctx context.Context, name string, files ...string) (url string, err error) {
	if err := p.run(ctx, "postgres", "-c", "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	for _, file := range files {
		if err := p.run(ctx, name, "-f", file); err != nil {
			return "", err
		}
	}
	return "postgres://demarc@" + net.JoinHostPort(p.host, p.port) + "/" + name, nil
}

func (p *postgres) run(ctx context.Context, database string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "psql"),
		append([]string{"-qX", "-v", "ON_ERROR_STOP=1", "-h", p.host, "-p", p.port, "-U", "demarc", "-d", database}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("psql %v: %w\n%s", args, err, out)
	}
	return nil
}

// unprivileged returns the user to run PostgreSQL as, because it refuses root, and gives the directory to them.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root: %w", err)
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
