package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a server under measurement.
type process struct {
	cmd    *exec.Cmd
	log    output
	exited chan error

	profile func(ctx context.Context, length time.Duration, into string) error // nil: it gives none
}

// output keeps what a program says.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, b...)
	return len(b), nil
}

// tail returns the last words.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text[max(0, len(o.text)-2000):])
}

// start runs a program that ends with the bench, whatever becomes of that. as is the user to run it as, nil for our own.
func start(as *syscall.Credential, dir, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), exited: make(chan error, 1)}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: as}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Pdeathsig fires when the thread that started the process ends
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.exited <- p.cmd.Wait()
		}
	}()
	return p, <-started
}

func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.exited:
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", p.cmd.Path, err, p.log.tail())
		}
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(fmt.Errorf("%s did not end", p.cmd.Path), p.cmd.Process.Kill())
	}
}

// used returns the CPU time of the process and everything below it so far, user and system. Children that have ended count
// in their parent's figures.
func (p *process) used() (time.Duration, error) {
	tree, err := p.tree()
	var sum time.Duration
	for _, s := range tree {
		sum += s.cpu
	}
	return sum, err
}

// tree reads the process and everything below it (proc(5)).
func (p *process) tree() ([]stat, error) {
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := make(map[int]stat, len(found))
	for _, path := range found {
		if s, err := readStat(path); err == nil { // it may be gone by now
			all[s.pid] = s
		}
	}
	var tree []stat
	for _, s := range all {
		if below(all, s.pid, p.cmd.Process.Pid) {
			tree = append(tree, s)
		}
	}
	if len(tree) == 0 {
		return nil, fmt.Errorf("%s is not running\n%s", p.cmd.Path, p.log.tail())
	}
	return tree, nil
}

type stat struct {
	pid, parent int
	cpu         time.Duration
}

func below(all map[int]stat, pid, root int) bool {
	for ; pid > 1; pid = all[pid].parent {
		if pid == root {
			return true
		}
	}
	return false
}

// readStat reads /proc/PID/stat: after the name come state (3) and parent (4); times are 14 to 17.
func readStat(path string) (stat, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	head, rest, _ := strings.Cut(string(text), " (")
	fields := strings.Fields(rest[strings.LastIndexByte(rest, ')')+1:])
	if len(fields) < 15 {
		return stat{}, fmt.Errorf("%s: %q", path, text)
	}
	number := func(s string) int64 {
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	const hertz = 100 // USER_HZ of every Linux that Go runs on
	ticks := number(fields[11]) + number(fields[12]) + number(fields[13]) + number(fields[14])
	return stat{
		pid: int(number(head)), parent: int(number(fields[1])), cpu: time.Duration(ticks) * time.Second / hertz,
	}, nil
}

// proportional returns the resident memory of the process tree; what processes share counts once (proc(5), smaps_rollup).
func (p *process) proportional() (int64, error) {
	tree, err := p.tree()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, s := range tree {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.pid), "smaps_rollup"))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), "\nPss:")
		value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		kilobytes, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += kilobytes << 10
	}
	return sum, nil
}

// awaitReady polls the readiness page.
func (p *process) awaitReady(ctx context.Context, url string) error {
	return p.await(ctx, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		reply, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			return errors.New(reply.Status)
		}
		return nil
	})
}

// await tries until it works, the process has ended, or a minute is over.
func (p *process) await(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case ended := <-p.exited:
			p.exited <- ended
			return fmt.Errorf("%s ended: %w\n%s", p.cmd.Path, ended, p.log.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.cmd.Path, err, p.log.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
