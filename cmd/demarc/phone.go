package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"demarc/softphone"
)

// Exit codes of demarc phone beside the shared ones, promised to scripts.
const (
	exitNotEnrolled = 3
	exitPending     = 4
	exitRefused     = 5
	exitUnreachable = 6
)

const phoneExitCodes = `Exit codes:
  0  done
  2  wrong use: arguments, link, or profile file
  3  enrolment refused, or this device is no longer enrolled
  4  no SIP credential yet; the text says whose turn it is
  5  the PBX refused the registration
  6  server or PBX not reached: network, name or certificate`

// phoneError gives an error its exit code.
type phoneError struct {
	code int
	err  error
}

func (e *phoneError) Error() string { return e.err.Error() }
func (e *phoneError) Unwrap() error { return e.err }
func (e *phoneError) ExitCode() int { return e.code }

// phoneCmd is a softphone without a window: it enrols and registers as the SDK does. It ends when its
// context does.
type phoneCmd struct {
	Profile string `type:"path" placeholder:"FILE" help:"This device's enrolment (default: ~/.config/demarc/phone.json)."`

	Enrol   phoneEnrolCmd   `cmd:"" help:"Make this machine one of a user's devices, with a one-time code."`
	Run     phoneRunCmd     `cmd:"" help:"Register with the PBX and stay registered until interrupted."`
	Unenrol phoneUnenrolCmd `cmd:"" help:"Give the enrolment back and delete the profile."`
}

// Help is shown by demarc phone --help.
func (*phoneCmd) Help() string { return phoneExitCodes }

func (c *phoneCmd) path() (string, error) {
	if c.Profile != "" {
		return c.Profile, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", &phoneError{exitUsage, fmt.Errorf("no place for the profile, name one with --profile: %w", err)}
	}
	return filepath.Join(dir, "demarc", "phone.json"), nil
}

func (c *phoneCmd) load() (*softphone.Profile, string, error) {
	path, err := c.path()
	if err != nil {
		return nil, "", err
	}
	profile, err := softphone.LoadProfile(path)
	if err != nil {
		return nil, "", &phoneError{exitUsage, err}
	}
	return profile, path, nil
}

// phoneEnrolCmd trades a code for a profile.
type phoneEnrolCmd struct {
	Link   string `arg:"" help:"Enrolment link (demarc://…) or code; - reads it from standard input."`
	Server string `placeholder:"URL" help:"Server of a bare code, https://host:port."`
	CA     string `type:"existingfile" placeholder:"FILE" help:"PEM file with the server's private CA, for a bare code."`
	Name   string `placeholder:"TEXT" help:"Name of this device as support staff will see it (default: the host name)."`
}

// Help is shown by demarc phone enrol --help.
func (*phoneEnrolCmd) Help() string { return phoneExitCodes }

// Run enrols and stores the profile.
func (c *phoneEnrolCmd) Run(ctx context.Context, out io.Writer, phone *phoneCmd) error {
	path, err := phone.path()
	if err != nil {
		return err
	}
	enrolment, err := c.enrolment(os.Stdin)
	if err != nil {
		return &phoneError{exitUsage, err}
	}
	profile, err := softphone.Enrol(ctx, enrolment)
	if err != nil {
		return withPhoneCode(err)
	}
	if err := profile.Save(path); err != nil {
		return &phoneError{exitUsage, fmt.Errorf("the code is used up now, but the profile was not kept: %w", err)}
	}
	fmt.Fprintf(out, "Enrolled as a %s device of %s, extension %s. Profile: %s\nNext: demarc phone run\n",
		profile.Kind, profile.User, orNone(profile.Extension), path)
	return nil
}

func (c *phoneEnrolCmd) enrolment(stdin io.Reader) (softphone.Enrolment, error) {
	given := c.Link
	if given == "-" {
		line, err := bufio.NewReader(stdin).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return softphone.Enrolment{}, fmt.Errorf("read the link: %w", err)
		}
		given = strings.TrimSpace(line)
	}
	e := softphone.Enrolment{Name: c.Name}
	if e.Name == "" {
		e.Name, _ = os.Hostname() // without a name the server gives one
	}
	if strings.Contains(given, "://") {
		e.Link = given
		return e, nil
	}
	if c.Server == "" {
		return e, errors.New("a bare code needs --server https://host:port; or give the whole link")
	}
	e.Server, e.Code = c.Server, softphone.Secret(given)
	if c.CA != "" {
		ca, err := os.ReadFile(c.CA)
		if err != nil {
			return e, fmt.Errorf("--ca: %w", err)
		}
		e.CA = ca
	}
	return e, nil
}

// phoneUnenrolCmd ends an enrolment.
type phoneUnenrolCmd struct{}

// Run revokes the device's token and removes the profile.
func (c *phoneUnenrolCmd) Run(ctx context.Context, out io.Writer, phone *phoneCmd) error {
	profile, path, err := phone.load()
	if err != nil {
		return err
	}
	if err := softphone.Unenrol(ctx, profile); err != nil {
		return withPhoneCode(err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("the enrolment ended, but its profile is still there: %w", err)
	}
	fmt.Fprintln(out, "This device is no longer enrolled.")
	return nil
}

// withPhoneCode gives an error of the SDK its exit code.
func withPhoneCode(err error) error {
	var failure *softphone.Failure
	switch {
	case errors.Is(err, softphone.ErrRefused), errors.Is(err, softphone.ErrRevoked):
		return &phoneError{exitNotEnrolled, err}
	case errors.Is(err, softphone.ErrPending):
		return &phoneError{exitPending, err}
	case errors.As(err, &failure), errors.Is(err, softphone.ErrBadReply):
		return &phoneError{exitUnreachable, err}
	}
	return &phoneError{exitUsage, err}
}
