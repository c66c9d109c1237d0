package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"demarc/api"
	"demarc/internal/config"
	"demarc/provisioning"
	"demarc/telephony/callswitch/states"
)

// docsCmd writes the documents that come from code; make verify compares them with what is committed.
type docsCmd struct {
	Dir string `arg:"" type:"existingdir" help:"The docs directory."`
}

func (c docsCmd) Run(context.Context) error {
	for _, doc := range []struct {
		name string
		make func() ([]byte, error)
	}{
		{"configuration.md", configurationDoc},
		{"state-machines.md", statesDoc},
		{"openapi.json", openAPIDoc},
		{"dependencies.txt", dependenciesDoc},
	} {
		content, err := doc.make()
		if err != nil {
			return fmt.Errorf("%s: %w", doc.name, err)
		}
		if err := os.WriteFile(filepath.Join(c.Dir, doc.name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func configurationDoc() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`# Configuration

One YAML file (` + "`--config`" + `) and environment variables, which win over the file. An unknown key or a bad value ends the start with file, line
and column. ` + "`demarc config`" + ` prints the effective configuration, explained, as a file that can be used. This page is made from the code.

`)
	if err := config.Table(&b); err != nil {
		return nil, err
	}
	b.WriteString("\n## An entry of telephony.listeners\n\n")
	if err := config.ListenerTable(&b); err != nil {
		return nil, err
	}
	b.WriteString(`
An entry of ` + "`realm_algorithms` has `realm` and `algorithms`" + `.

SIGHUP reads the users file of ` + "`telephony.directory`" + ` again; everything else needs a restart. A file with mistakes changes nothing. Neither
does one that leaves out everybody who is in the directory, or more than five and a tenth of them, as when it was cut short: the log says how
many, ` + "`demarc_background_failures_total`" + ` counts it, and a second SIGHUP within ten minutes loads it after all. At a start the directory
stays as it was.
`)
	return b.Bytes(), nil
}

// openAPIDoc is indented, so that a change of the API is seen in review.
func openAPIDoc() ([]byte, error) {
	description, err := api.Describe("v1")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Indent(&b, description, "", " ")
	b.WriteByte('\n')
	return b.Bytes(), err
}

func statesDoc() ([]byte, error) {
	return []byte("# State machines\n\nMade from the tables in the code.\n\n## Sync state of a device (provisioning/state.go)\n\n" +
		provisioning.StateTable() + "\n" + states.Tables()), nil
}

// dependenciesDoc lists the modules in this binary, so that a new one is seen in review.
func dependenciesDoc() ([]byte, error) {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, fmt.Errorf("this binary has no build information")
	}
	lines := make([]string, 0, len(build.Deps))
	for _, m := range build.Deps {
		lines = append(lines, m.Path+" "+m.Version)
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}
