package chaos_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"demarc/gateway"
	"demarc/internal/config"
	"demarc/telephony/sip"
)

// serves tells this program to be a gateway: with its folder, and its addresses for UDP, TCP and TLS.
const serves = "DEMARC_CHAOS_SERVES"

func TestMain(m *testing.M) {
	if setup := os.Getenv(serves); setup != "" {
		if err := serve(strings.Fields(setup)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is the gateway until it is told to stop.
func serve(setup []string) error {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	g := gateway.New(gateway.Config{Config: configOf(setup), Version: "chaos", Timers: sip.Timers{T1: t1, T2: t2, T4: t4},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err := g.Start(context.Background()); err != nil {
		return err
	}
	<-told
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return g.Stop(ctx)
}

// configOf has times that a test can wait for: shorter than a configuration file may say.
func configOf(setup []string) config.Config {
	c := config.Default()
	c.Roles = []config.Role{config.RoleTelephony}
	c.DataDir, c.Account.Domain, c.HTTP.Metrics = filepath.Join(setup[0], "data"), domain, ""
	t := &c.Telephony
	t.Directory, t.TraceMemory, t.UDPKeepAlive = filepath.Join(setup[0], "users.csv"), 1, 0
	t.Listeners = []config.Listener{
		{Name: "udp", Transport: "udp", Address: setup[1], CallAuth: "registered"},
		{Name: "tcp", Transport: "tcp", Address: setup[2]},
		{Name: "tls", Transport: "tls", Address: setup[3], CallAuth: "registered"},
	}
	t.Limits.Admission, t.Limits.Guesses = 100_000, 100_000
	t.Calls.Ring, t.Calls.Session, t.Calls.User = 2*time.Second, 2*time.Second, 40
	t.Media.Timeout = 2 * time.Second
	return c
}
