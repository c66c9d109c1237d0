package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"demarc/internal/config"
)

// root is the command tree.
type root struct {
	Configuration string `name:"config" short:"c" type:"path" env:"DEMARC_CONFIG" help:"Configuration file (YAML). Without one the defaults hold."`
	DataDir       string `type:"path" env:"DEMARC_DATA_DIR" help:"Data directory, instead of data_dir in the configuration."`

	Demo       demoCmd       `cmd:"" help:"Play the whole path on this machine: admin, link, sync, three softphones."`
	Serve      serveCmd      `cmd:"" help:"Run the gateway."`
	Phone      phoneCmd      `cmd:"" help:"Be a softphone without a window: enrol, register, stay registered."`
	Users      UsersCmd      `cmd:"" help:"List users with state, SIP code, device and last change."`
	User       UserCmd       `cmd:"" help:"Show one user with devices and timeline."`
	Invite     InviteCmd     `cmd:"" help:"Give a user a one-time enrolment code."`
	Import     ImportCmd     `cmd:"" help:"Put the people of a CSV file on the integration."`
	Link       linkCmd       `cmd:"" help:"Install the app, connect the phone system and consent, in one step."`
	Sync       syncCmd       `cmd:"" help:"Pull SIP credentials from the phone system now."`
	Calls      callsCmd      `cmd:"" help:"List calls, live and past, and why they ended."`
	Call       callCmd       `cmd:"" help:"Show one call with its legs and how its media was."`
	Hangup     hangupCmd     `cmd:"" help:"Hang up a call that lasts."`
	Transfer   transferCmd   `cmd:"" help:"Transfer a call for a phone that cannot."`
	Conference conferenceCmd `cmd:"" help:"Make one call of two for a phone that cannot."`
	Reach      reachCmd      `cmd:"" help:"Ask a user's phones for a sign of life."`
	Trace      traceCmd      `cmd:"" help:"Show the last SIP messages of a phone or call."`
	Profile    profileCmd    `cmd:"" help:"Write a profile of the running gateway: processor, memory or goroutines."`
	Accounts   accountsCmd   `cmd:"" help:"List or add accounts (tenants)."`
	SignIn     SignInCmd     `cmd:"" help:"Make a one-time link to sign in to the portal."`
	Config     configCmd     `cmd:"" help:"Print the effective configuration and explain every key."`
	Docs       docsCmd       `cmd:"" hidden:"" help:"Write the documents that come from code."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

// load reads the configuration that a command works with; extra are settings "KEY=value" from its flags, which win.
func (r *root) load(extra ...string) (config.Effective, error) {
	environ := make([]string, 0, 8)
	for _, pair := range os.Environ() {
		if strings.HasPrefix(pair, "DEMARC_") {
			environ = append(environ, pair)
		}
	}
	if r.DataDir != "" {
		extra = append(extra, "DEMARC_DATA_DIR="+r.DataDir)
	}
	return config.Load(r.Configuration, append(environ, extra...))
}

type versionCmd struct{}

func (versionCmd) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "demarc", version)
	return err
}

type configCmd struct{}

func (configCmd) Help() string {
	return "The output is a configuration file: save it and change what you need. Each key shows its environment " +
		"variable, which wins over the file, and where its present value comes from. Secrets show as ***."
}

func (configCmd) Run(r *root, out io.Writer) error {
	effective, err := r.load()
	if err != nil {
		return err
	}
	return effective.Explain(out)
}
