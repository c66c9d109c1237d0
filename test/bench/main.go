package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
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
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	if len(args) > 0 && args[0] == "bare" { // the bench starts itself as the server to compare with
		return bare(ctx, args[1:])
	}
	b := &bench{out: out, timing: timing{warm: 2 * time.Second, window: 4 * time.Second, rounds: 3}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&b.quick, "quick", false, "short windows and small numbers: to see that it works, not for figures")
	flags.DurationVar(&b.timing.warm, "warm", b.timing.warm, "load before a window")
	flags.DurationVar(&b.timing.window, "window", b.timing.window, "length of a window")
	flags.IntVar(&b.timing.rounds, "rounds", b.timing.rounds, "windows per server")
	flags.StringVar(&b.program, "demarc", "", "measure this program instead of building one")
	only := flags.String("only", "", "comma separated: "+strings.Join(names(), ", "))
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.quick {
		b.timing = timing{warm: 300 * time.Millisecond, window: 700 * time.Millisecond, rounds: b.timing.rounds}
	}
	if b.dir, err = os.MkdirTemp("", "demarc-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := os.Chmod(b.dir, 0o755); err != nil { // PostgreSQL runs as another user
		return err
	}
	if b.program == "" {
		if b.program, err = build(ctx, b.dir); err != nil {
			return err
		}
	}
	return b.measure(ctx, strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }))
}

// part is one thing to measure; its table follows when it is done.
type part struct {
	name string
	do   func(*bench, context.Context) error
}

func parts() []part {
	return []part{
		{"register", (*bench).register},
	}
}

func names() []string {
	var all []string
	for _, p := range parts() {
		all = append(all, p.name)
	}
	return all
}

func (b *bench) measure(ctx context.Context, only []string) error {
	for _, name := range only {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("there is no part %q: use %s", name, strings.Join(names(), ", "))
		}
	}
	b.machine()
	for _, p := range parts() {
		if len(only) > 0 && !slices.Contains(only, p.name) {
			continue
		}
		if err := p.do(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}
