package main

import (
	"bytes"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
)

// In scripts and on the PATH of these tests, demarc is this very test binary.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"demarc": main}) }

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

// exits is the script command "exits CODE PROGRAM ARGS…": it runs a program that must end with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var ended *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &ended) {
		got = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// Every command explains itself and each of its flags.
func TestEveryCommandHasHelp(t *testing.T) {
	parser, err := kong.New(&root{}, kong.Vars{"version": "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range parser.Model.Leaves(false) {
		path := strings.Fields(leaf.FullPath())[1:] // without the program's name
		var out, errs bytes.Buffer
		if code := run(append(path, "--help"), &out, &errs); code != exitOK || errs.Len() > 0 {
			t.Errorf("%v --help: exit code %d, %s", path, code, &errs)
		}
		if want := "Usage: demarc " + strings.Join(path, " "); !strings.HasPrefix(out.String(), want) {
			t.Errorf("%v --help begins with %.60q", path, out.String())
		}
		if leaf.Help == "" {
			t.Errorf("%v says nothing in the list of commands", path)
		}
		for _, flag := range leaf.Flags {
			if flag.Help == "" {
				t.Errorf("%v --%s is not explained", path, flag.Name)
			}
		}
	}
}
