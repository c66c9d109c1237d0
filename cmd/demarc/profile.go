package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

type profileCmd struct {
	Kind    string `arg:"" optional:"" enum:"cpu,heap,goroutines" default:"cpu" help:"cpu, heap or goroutines."`
	Seconds int    `default:"30" help:"How long the processor's time is watched, for cpu."`
	Output  string `short:"o" type:"path" placeholder:"FILE" help:"Where to write it; KIND.pprof when not given."`
}

func (profileCmd) Help() string {
	return "Writes a profile of the gateway on this machine: by functions, where it spends the processor's time or memory, or what its " +
		"goroutines wait for. No message, name or secret stands in it, so that it may be sent to whoever helps. Read it with " +
		"\"go tool pprof FILE\"."
}

func (c *profileCmd) Run(ctx context.Context, r *root, out io.Writer) (err error) {
	op, err := onAccount{}.operator(r)
	if err != nil {
		return err
	}
	path := "/profile/" + c.Kind
	if c.Kind == "cpu" {
		path += "?seconds=" + strconv.Itoa(c.Seconds)
		fmt.Fprintf(os.Stderr, "watching for %v…\n", time.Duration(c.Seconds)*time.Second)
	}
	profile, err := op.read(ctx, path)
	if err != nil {
		return interrupted(ctx, err)
	}
	file := c.Output
	if file == "" {
		file = c.Kind + ".pprof"
	}
	if err := os.WriteFile(file, profile, 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: read it with \"go tool pprof %s\"\n", file, file)
	return err
}
