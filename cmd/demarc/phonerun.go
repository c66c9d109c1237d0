package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"demarc/softphone"
)

// phoneRunCmd keeps a phone registered.
type phoneRunCmd struct {
	Once   bool `help:"Register, say how it went, un-register and end."`
	JSON   bool `help:"Print one JSON object a line for each change of state."`
	OnSite bool `help:"This machine is in the PBX's own network: a desktop device then asks the PBX directly."`
}

// Help is shown by demarc phone run --help.
func (*phoneRunCmd) Help() string { return phoneExitCodes }

// Run runs the phone until ctx ends.
func (c *phoneRunCmd) Run(ctx context.Context, out io.Writer, parent *phoneCmd) error {
	profile, path, err := parent.load()
	if err != nil {
		return err
	}
	free, err := onlyRun(path)
	if err != nil {
		return &phoneError{exitUsage, err}
	}
	defer free()
	outliveReaders()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var settled error // of the first outcome, for --once
	done := false
	phone, err := softphone.New(softphone.Config{
		Profile: profile, OnSite: c.OnSite,
		OnStatus: func(s softphone.Status) {
			if done && s.State != softphone.Stopped {
				return
			}
			c.print(out, s)
			if c.Once && !done {
				if done, settled = outcome(s); done {
					cancel()
				}
			}
		},
	})
	if err != nil {
		return &phoneError{exitUsage, err}
	}
	if err := phone.Run(ctx); err != nil {
		return withPhoneCode(err)
	}
	return settled
}

// onlyRun takes a profile until free is called: a second phone with it would take the first one's registration over, and take it
// along at its end.
func onlyRun(path string) (free func(), err error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("another demarc phone run is this device: end it first, or enrol a device of its own with --profile (%s)", path)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return func() { _ = lock.Close() }, nil
}

// outcome reports whether a status answers the question of --once, and how.
func outcome(s softphone.Status) (done bool, err error) {
	switch s.State {
	case softphone.Registered:
		return true, nil
	case softphone.Pending:
		return true, &phoneError{exitPending, fmt.Errorf("%w: %s", softphone.ErrPending, s.Text)}
	case softphone.Failed:
		code := exitUnreachable
		if s.Cause == softphone.CauseSIP || s.Cause == softphone.CauseClient {
			code = exitRefused
		}
		return true, &phoneError{code, errors.New(s.Text)}
	}
	return false, nil
}

// statusLine is the --json form of a status, promised to scripts.
type statusLine struct {
	Time      time.Time       `json:"time"`
	State     softphone.State `json:"state"`
	Cause     softphone.Cause `json:"cause,omitempty"`
	Code      int             `json:"code,omitempty"`
	Text      string          `json:"text,omitempty"`
	Registrar string          `json:"registrar,omitempty"`
	Transport string          `json:"transport,omitempty"`
	Route     string          `json:"route,omitempty"`
	Expires   *time.Time      `json:"expires,omitempty"`
	Retry     *time.Time      `json:"retry,omitempty"`
}

func (c *phoneRunCmd) print(w io.Writer, s softphone.Status) {
	if c.JSON {
		line := statusLine{
			Time: s.At.UTC(), State: s.State, Cause: s.Cause, Code: s.Code, Text: s.Text,
			Registrar: s.Registrar, Transport: s.Transport, Route: s.Route, Expires: known(s.Expires), Retry: known(s.Retry),
		}
		_ = json.NewEncoder(w).Encode(line) // a reader that went away is no reason to un-register
		return
	}
	text := fmt.Sprintf("%s  %-10s", s.At.Format(time.DateTime), s.State)
	switch {
	case s.Route != "":
		text += fmt.Sprintf("  %s %s (%s)", s.Route, s.Registrar, s.Transport)
	case s.Registrar != "":
		text += "  " + s.Registrar
	}
	switch s.State {
	case softphone.Registered:
		text += "  until " + s.Expires.Format(time.TimeOnly)
	case softphone.Starting, softphone.Stopped:
	default:
		text += "  " + s.Text
	}
	if !s.Retry.IsZero() {
		text += "; next try at " + s.Retry.Format(time.TimeOnly)
	}
	fmt.Fprintln(w, strings.TrimRight(text, " "))
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func orNone(s string) string {
	if s == "" {
		return "not known yet"
	}
	return s
}
