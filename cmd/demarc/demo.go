package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"demarc/docs/examples"
	"demarc/gateway"
	"demarc/internal/config"
	"demarc/softphone"
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

func (d *demo) signIn(ctx context.Context) error {
	link, err := d.gateway.SignInLink(ctx)
	if err != nil {
		return err
	}
	d.admin, err = signIn(ctx, d.gateway.CAPEM(), d.gateway.URL(), link.Reveal())
	return err
}

func (d *demo) link(ctx context.Context) error {
	c, err := d.admin.install(ctx, d.gateway.CloudLinkURL())
	if err != nil {
		return err
	}
	email, password, err := d.gateway.CloudLinkAdmin()
	if err != nil {
		return err
	}
	_, err = d.admin.connect(ctx, c, email, password)
	return err
}

func (d *demo) importPeople(ctx context.Context) error {
	for _, query := range []string{"?dryRun=true", ""} {
		var report struct {
			Add    int `json:"add"`
			Errors []struct {
				Row     int    `json:"row"`
				Message string `json:"message"`
			} `json:"errors"`
		}
		if err := d.admin.call(ctx, http.MethodPost, "/v1/users/import"+query, examples.People, &report); err != nil {
			return err
		}
		if report.Add != 25 || len(report.Errors) > 0 {
			return fmt.Errorf("the import would add %d people and names these errors: %v", report.Add, report.Errors)
		}
	}
	return nil
}

func (d *demo) sync(ctx context.Context) error {
	var run struct {
		Error  string `json:"error"`
		Looked int    `json:"looked"`
	}
	if err := d.admin.call(ctx, http.MethodPost, "/v1/sync", nil, &run); err != nil {
		return err
	}
	if run.Error != "" || run.Looked != 25 {
		return fmt.Errorf("the sync looked at %d people: %s", run.Looked, run.Error)
	}
	return d.await(ctx, func(counts map[string]int) bool { return counts["inactive"] == 25 })
}

// await reads the users until the counts are as wished.
func (d *demo) await(ctx context.Context, wished func(counts map[string]int) bool) error {
	for {
		var page struct {
			Users  []userRow      `json:"users"`
			Counts map[string]int `json:"counts"`
		}
		if err := d.admin.call(ctx, http.MethodGet, "/v1/users?limit=100", nil, &page); err != nil {
			return err
		}
		d.users = map[string]userRow{}
		for _, u := range page.Users {
			d.users[u.Extension] = u
		}
		if wished(page.Counts) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the users are %v: %w", page.Counts, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// demoPhone is one softphone of the demo.
type demoPhone struct {
	extension string
	profile   *softphone.Profile
	phone     *softphone.Phone
}

func (d *demo) enrol(ctx context.Context) error {
	for _, extension := range []string{"1001", "1002", "1003"} {
		user, ok := d.users[extension]
		if !ok {
			return fmt.Errorf("nobody has the extension %s", extension)
		}
		var code struct {
			Link string `json:"link"`
		}
		path := "/v1/users/" + url.PathEscape(user.ID) + "/enrolment-codes"
		if err := d.admin.call(ctx, http.MethodPost, path, map[string]string{"kind": "desktop"}, &code); err != nil {
			return err
		}
		profile, err := softphone.Enrol(ctx, softphone.Enrolment{Link: code.Link, Name: "Demo softphone " + extension})
		if err != nil {
			return err
		}
		d.phones = append(d.phones, &demoPhone{extension: extension, profile: profile})
	}
	return nil
}

func (d *demo) breakOne(ctx context.Context) error { return d.gateway.RotateCredential(ctx, "1003") }

func (d *demo) register(ctx context.Context) error {
	for _, p := range d.phones {
		phone, err := softphone.New(softphone.Config{Profile: p.profile})
		if err != nil {
			return err
		}
		p.phone = phone
		running, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = phone.Run(running) // its status tells how it goes
		}()
		d.stop = append(d.stop, func() { cancel(); <-done })
	}
	return d.await(ctx, func(counts map[string]int) bool { return counts["registered"] == 2 && counts["sip_error"] == 1 })
}

// show prints the table and how to go on.
func (d *demo) show(ctx context.Context) error {
	link, err := d.gateway.SignInLink(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out)
	if err := d.table(); err != nil {
		return err
	}
	document, err := d.documentLink(ctx, "1004")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.out, `
Portal       %s
             signs you in once as the owner, within ten minutes (your browser does not know the demo's CA yet:
             %s, or accept its warning)
Linphone     to register a phone of your own as extension 1004, let it trust that CA, then fetch this document once
             (Assistant → fetch remote configuration):
             %s
Softphone    demarc phone enrol LINK, with a link from the user's page in the portal, then demarc phone run
Log          %s
`, link.Reveal(), d.gateway.URL()+"/ca.pem", document, d.dir)
	return err
}

func (d *demo) documentLink(ctx context.Context, extension string) (string, error) {
	var made struct {
		URL string `json:"url"`
	}
	path := "/v1/users/" + url.PathEscape(d.users[extension].ID) + "/document-links"
	err := d.admin.call(ctx, http.MethodPost, path, map[string]string{"app": "linphone", "kind": "desktop"}, &made)
	return made.URL, err
}
