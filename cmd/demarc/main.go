// Command demarc puts a PBX's extensions into softphones, and says why when one does not work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"demarc/internal/config"
)

// version is set by the release build.
var version = "dev"

// Exit codes shared by all commands; demarc phone has its own beside them.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// coded is an error that chooses the exit code.
type coded interface {
	error
	ExitCode() int
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var commands root
	parser, err := kong.New(&commands,
		kong.Name("demarc"),
		kong.Description("Puts your PBX's extensions into softphones, and says why when one does not work.\n\n"+
			"Try it: demarc demo. Run it: demarc serve. Every command explains itself with --help."),
		kong.Writers(stdout, stderr),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Vars{"version": version},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(stdout, (*io.Writer)(nil)),
		kong.Exit(func(code int) { panic(exit(code)) }),
	)
	if err != nil {
		panic(err) // the command tree itself is wrong
	}
	return execute(parser, args, stderr)
}

// exit carries kong's wish to end (after --help) up to execute, so that tests can run commands in process.
type exit int

func execute(parser *kong.Kong, args []string, stderr io.Writer) (code int) {
	defer func() {
		if wish, ok := recover().(exit); ok {
			code = int(wish)
		}
	}()
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "demarc: %v (demarc --help lists the commands, demarc COMMAND --help explains one)\n", err)
		return exitUsage
	}
	err = parsed.Run()
	var own coded
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &own):
		if own.Error() != "" {
			fmt.Fprintf(stderr, "demarc: %v\n", err)
		}
		return own.ExitCode()
	case errors.Is(err, config.ErrInvalid):
		fmt.Fprintf(stderr, "demarc: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "demarc: %v\n", err)
	return exitFailure
}

// outliveReaders lets a command that stands for something, a gateway or a phone, go on when whoever reads what it says has gone:
// without it the end of a log's reader would end every call.
func outliveReaders() { signal.Ignore(syscall.SIGPIPE) }
