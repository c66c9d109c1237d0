package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"demarc/test/shipped"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run: what to measure, where its files are, and what came out.
type bench struct {
	out     io.Writer
	dir     string
	program string
	timing  timing
	quick   bool
	alone   bool
	servers int
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) > 0 && args[0] == "bare" { // the bench starts itself as the server to compare with
		return bare(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == "media" { // and as the host of demarc's media
		return hostMedia(ctx, args[1:])
	}
	b := &bench{out: out, timing: timing{warm: 2 * time.Second, window: 4 * time.Second, rounds: 3}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&b.quick, "quick", false, "short windows and small numbers: to see that it works, not for figures")
	flags.DurationVar(&b.timing.warm, "warm", b.timing.warm, "load before a window")
	flags.DurationVar(&b.timing.window, "window", b.timing.window, "length of a window")
	flags.IntVar(&b.timing.rounds, "rounds", b.timing.rounds, "windows per server")
	flags.StringVar(&b.program, "demarc", "", "measure this program instead of building one")
	flags.BoolVar(&b.alone, "alone", false, "measure demarc without the others")
	flags.StringVar(&b.timing.profiles, "profiles", "", "keep CPU profiles of demarc's windows in this directory: they cost time, so that the figures do not count")
	only := flags.String("only", "", "comma separated: "+b.names())
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.quick {
		b.timing.warm, b.timing.window = 300*time.Millisecond, 700*time.Millisecond
	}
	if b.timing.profiles != "" {
		if err := os.MkdirAll(b.timing.profiles, 0o755); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp("", "demarc-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := os.Chmod(b.dir, 0o755); err != nil { // PostgreSQL runs as another user
		return err
	}
	if b.program == "" {
		if b.program, err = shipped.Build(ctx, b.dir); err != nil {
			return err
		}
	}
	return b.measure(ctx, strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }))
}

// part is one thing to measure.
type part struct {
	name  string
	table string // of which table its rows are: what demarc is compared with, or what is told
	do    func(context.Context, *table) error
}

func (b *bench) parts() []part {
	return []part{
		{"udp", "Kamailio", b.inMemory(overUDP(64))},
		{"tls", "Kamailio", b.inMemory(overTLS())},
		{"connections", "Kamailio", b.newConnections},
		{"mutual", "Kamailio", b.mutual},
		{"postgres", "Kamailio", b.committed},
		{"sqlite", "Kamailio", b.onSQLite},
		{"calls", "Kamailio", b.calls(shape{transport: "UDP", lanes: 8, slots: 8}, twoLevel)},
		{"callsplain", "Kamailio", b.calls(shape{transport: "UDP", lanes: 8, slots: 8}, plain)},
		{"callsdigest", "Kamailio", b.calls(shape{transport: "UDP", lanes: 8, slots: 8, challenged: true}, twoLevel)},
		{"callstls", "Kamailio", b.calls(shape{transport: "TLS", lanes: 100, slots: 1}, twoLevel)},
		{"fetch", "bare chi", b.fetch},
		{"sync", "took", b.sync},
		{"seen", "took", b.seen},
		{"probes", "took", b.probes},
		{"relay200", "rtpengine", b.relayed(200, false)},
		{"relay500", "rtpengine", b.relayed(500, false)},
		{"srtp", "rtpengine", b.relayed(200, true)},
		{"delay", "media", b.delays},
		{"idlecalls", "media", b.idleCalls},
		{"idle", "memory", b.idle},
		{"bindings", "memory", b.bindings},
		{"heldcalls", "memory", b.heldCalls},
		{"setup", "set-up", b.setUp},
	}
}

func (b *bench) names() string {
	var all []string
	for _, p := range b.parts() {
		all = append(all, p.name)
	}
	return strings.Join(all, ", ")
}

func (b *bench) measure(ctx context.Context, only []string) error {
	for _, name := range only {
		if !slices.ContainsFunc(b.parts(), func(p part) bool { return p.name == name }) {
			return fmt.Errorf("there is no part %q: use %s", name, b.names())
		}
	}
	b.machine()
	rows := newTable("Operation", "demarc", "Kamailio")
	var failed []error
	for _, p := range b.parts() {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		if p.table != rows.theirs {
			rows.print(b.out)
			rows = newTable("Operation", "demarc", p.table)
		}
		if err := p.do(ctx, rows); err != nil { // the other parts are worth knowing all the same
			failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	rows.print(b.out)
	return errors.Join(failed...)
}

// scratch returns a directory of its own for one server.
func (b *bench) scratch() string {
	b.servers++
	return filepath.Join(b.dir, strconv.Itoa(b.servers))
}
