package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"demarc/docs/examples"
	"demarc/gateway"
	"demarc/internal/config"
)

// demoPatience bounds each step of the demo.
const demoPatience = 60 * time.Second

type demoCmd struct {
	Once bool   `help:"Exit when all steps have worked (0), or with the name of the step that failed (1)."`
	Log  string `type:"path" help:"Write the server's log here. Default: demarc.log in the demo's own directory."`
}

func (demoCmd) Help() string {
	return "Starts every role on SQLite in a directory of its own, plays the admin through the real pages (install, " +
		"connector, sign-in and consent, CSV import), syncs the 25 people of docs/examples, enrols three softphones that " +
		"register over TLS, and breaks one on purpose. Stays up until Ctrl-C, which removes everything again."
}

// demo is one run.
type demo struct {
	out     io.Writer
	dir     string
	gateway *gateway.Gateway
	admin   *admin
	users   map[string]userRow // by extension
	phones  []*demoPhone
	stop    []func()
}

// userRow is what the demo needs of a user in the API.
type userRow struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Extension string `json:"extension"`
	State     string `json:"state"`
	SIPCode   int    `json:"sipCode"`
	Text      string `json:"text"`
	Device    string `json:"device"`
}

func (c *demoCmd) Run(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "demarc-demo-")
	if err != nil {
		return err
	}
	d := &demo{out: out, dir: dir}
	defer func() { err = errors.Join(err, d.end()) }()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"start connector, CloudLink-like service and telephony on SQLite", func(ctx context.Context) error {
			return d.start(ctx, c.Log)
		}},
		{"the owner signs in to the portal with a one-time link", d.signIn},
		{"the app is installed, a connector is made and linked through the consent page", d.link},
		{"25 people are put on the integration from a CSV file", d.importPeople},
		{"their SIP credentials are pulled from the PBX", d.sync},
		{"three softphones enrol with one-time codes", d.enrol},
		{"the PBX's password of extension 1003 is changed behind everybody's back", d.breakOne},
		{"the softphones register over TLS: two succeed, one must not", d.register},
	} {
		if err := d.step(ctx, step.name, step.do); err != nil {
			return err
		}
	}
	if err := d.show(ctx); err != nil || c.Once {
		return err
	}
	<-ctx.Done()
	fmt.Fprintln(out, "\nstopping")
	return nil
}

func (d *demo) step(ctx context.Context, name string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	began := time.Now()
	if err := do(ctx); err != nil {
		return fmt.Errorf("the demo failed at the step %q: %w", name, err)
	}
	fmt.Fprintf(d.out, "  ✓ %s (%.1f s)\n", name, time.Since(began).Seconds())
	return nil
}

func (d *demo) end() error {
	for i := len(d.stop) - 1; i >= 0; i-- {
		d.stop[i]()
	}
	var err error
	if d.gateway != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err = d.gateway.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

func (d *demo) start(ctx context.Context, logPath string) error {
	usersFile := filepath.Join(d.dir, "users.yaml")
	if err := os.WriteFile(usersFile, examples.Users, 0o600); err != nil {
		return err
	}
	if logPath == "" {
		logPath = filepath.Join(d.dir, "demarc.log")
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	c := config.Default()
	c.DataDir = filepath.Join(d.dir, "data")
	c.Telephony.Directory = usersFile
	if err := freePorts(&c); err != nil {
		return errors.Join(err, log.Close())
	}
	g := gateway.New(gateway.Config{Config: c, Log: slog.New(slog.NewTextHandler(log, nil)), Version: version})
	if err := g.Start(ctx); err != nil {
		return errors.Join(err, log.Close())
	}
	d.gateway = g
	return nil
}

// freePorts keeps the well-known ports where they are free and lets the kernel choose others where not.
func freePorts(c *config.Config) error {
	addresses := []*string{&c.HTTP.Listen, &c.HTTP.Metrics, &c.CloudLink.Listen}
	for i := range c.Telephony.Listeners {
		if c.Telephony.Listeners[i].Transport == "udp" {
			continue // follows below: UDP has ports of its own
		}
		addresses = append(addresses, &c.Telephony.Listeners[i].Address)
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", *address)
		if err != nil {
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				return fmt.Errorf("no free TCP port on 127.0.0.1: end some programs that listen there: %w", err)
			}
			*address = "127.0.0.1:0"
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	for i := range c.Telephony.Listeners {
		l := &c.Telephony.Listeners[i]
		if l.Transport != "udp" {
			continue
		}
		socket, err := net.ListenPacket("udp", l.Address)
		if err != nil {
			if socket, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
				return fmt.Errorf("no free UDP port on 127.0.0.1: end some programs that listen there: %w", err)
			}
			l.Address = "127.0.0.1:0"
		}
		if err := socket.Close(); err != nil {
			return err
		}
	}
	return nil
}
