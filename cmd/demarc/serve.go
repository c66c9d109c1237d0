package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"demarc/gateway"
	"demarc/internal/config"
)

// stopTimeout bounds the graceful stop.
const stopTimeout = 30 * time.Second

type serveCmd struct {
	Roles     []string `help:"What this process does: connector, cloudlink, telephony. Default: all."`
	Directory string   `type:"path" help:"Users file (YAML or CSV) for the registrar's directory, instead of telephony.directory."`
}

func (serveCmd) Help() string {
	return "Runs until SIGINT or SIGTERM, then ends gracefully; SIGHUP loads the users file again. The first start makes " +
		"the database, a private certificate authority and a server certificate in the data directory."
}

func (c *serveCmd) Run(ctx context.Context, r *root) error {
	var extra []string
	if len(c.Roles) > 0 {
		extra = append(extra, "DEMARC_ROLES="+strings.Join(c.Roles, ","))
	}
	if c.Directory != "" {
		extra = append(extra, "DEMARC_TELEPHONY_DIRECTORY="+c.Directory)
	}
	effective, err := r.load(extra...)
	if err != nil {
		return err
	}
	outliveReaders()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP) // one that comes during the start would end it
	defer signal.Stop(reload)
	log := newLogger(os.Stderr, effective.Config.Log)
	g := gateway.New(gateway.Config{Config: effective.Config, Log: log, Version: version})
	if err := g.Start(ctx); err != nil {
		return err
	}
	for _, line := range g.Summary() {
		fmt.Fprintln(os.Stderr, line)
	}
	for {
		select {
		case <-reload:
			if err := g.Reload(ctx); err != nil {
				log.Error("reload failed, what was loaded before stays", "error", err)
			}
		case <-ctx.Done():
			stopping, cancel := context.WithTimeout(context.Background(), stopTimeout)
			defer cancel()
			return g.Stop(stopping)
		}
	}
}

func newLogger(to io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated with the configuration
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: withUnit}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// withUnit writes durations as text in both formats: as JSON they would be numbers whose unit nobody can see.
func withUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
