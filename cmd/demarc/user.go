package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/internal/qrcode"
)

// UserCmd shows one user with devices and timeline.
type UserCmd struct {
	onAccount
	Who  string `arg:"" name:"user" help:"Extension, e-mail address or id."`
	JSON bool   `name:"json" help:"Print JSON for scripts."`
}

// Run prints the user.
func (c *UserCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	u, err := find(ctx, op, c.Who)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := op.call(ctx, "GET", "/v1/users/"+url.PathEscape(u.ID), nil, &raw); err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(raw)
	}
	if err := json.Unmarshal(raw, &u); err != nil {
		return err
	}
	return printUser(out, u, time.Now())
}

func printUser(out io.Writer, u statusUser, now time.Time) error {
	code, why := splitCode(u.SIPCode, u.Text)
	extension := "no extension"
	if u.Extension != "" {
		extension = "extension " + u.Extension
	}
	fmt.Fprintf(out, "%s, %s, %s\n%s: %s\n\n", plain(u.Name), plain(extension), plain(u.Email),
		strings.TrimSpace(u.State+" "+code), plain(why))
	width, _ := terminalWidth(out)
	devices := &table{out: out, width: width, paint: stateColours}
	devices.add("DEVICE", "KIND", "STATE", "SIP", "LAST REGISTERED", "FROM", "WHY")
	for _, d := range u.Devices {
		code, why := splitCode(d.SIPCode, d.Text)
		devices.add(d.Name, d.Kind, d.State, code, ago(now, d.LastRegistered), d.Remote, why)
	}
	if len(u.Devices) == 0 {
		devices.add("none yet: give the user a code with \"demarc invite\"")
	}
	if err := devices.print(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	history := &table{out: out, width: width}
	history.add(by("WHEN", now), "WHAT", "SIP", "TEXT")
	for _, e := range u.Timeline {
		code, text := splitCode(e.Code, e.Text)
		history.add(e.At.Local().Format(clock), e.Kind, code, text)
	}
	return history.print()
}

// InviteCmd issues a one-time enrolment code.
type InviteCmd struct {
	onAccount
	Who  string `arg:"" name:"user" help:"Extension, e-mail address or id."`
	Kind string `enum:"desktop,mobile" default:"desktop" help:"Kind of device: desktop or mobile."`
	JSON bool   `name:"json" help:"Print JSON for scripts."`
	QR   bool   `name:"qr" negatable:"" default:"true" help:"Draw the link as a QR code on a terminal."`
}

// invitation is what the API gives once.
type invitation struct {
	Code      string    `json:"code"`
	Link      string    `json:"link"`
	Kind      string    `json:"kind"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// Run prints code and link, and draws the QR code on a terminal.
func (c *InviteCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	u, err := find(ctx, op, c.Who)
	if err != nil {
		return err
	}
	var made invitation
	path := "/v1/users/" + url.PathEscape(u.ID) + "/enrolment-codes"
	if err := op.call(ctx, "POST", path, map[string]string{"kind": c.Kind}, &made); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(made)
	}
	if width, terminal := terminalWidth(out); terminal && c.QR {
		if err := drawQR(out, account.Secret(made.Link), width); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(out, "Code for one %s device of %s, once, until %s:\n\n  %s\n\n%s\n", made.Kind, plain(u.Name),
		made.ExpiresAt.Local().Format("2006-01-02 15:04 MST"), plain(made.Code), plain(made.Link))
	return err
}

// drawQR leaves the picture out where its lines would wrap: a torn code cannot be scanned.
func drawQR(out io.Writer, link account.Secret, width int) error {
	picture, cells, err := qrcode.Terminal(link)
	if err != nil {
		return err
	}
	if cells > width {
		_, err = fmt.Fprintf(out, "(The QR code needs %d columns; this terminal has %d.)\n\n", cells, width)
		return err
	}
	_, err = fmt.Fprintln(out, picture)
	return err
}

// ImportCmd puts many people on the integration from a CSV file.
type ImportCmd struct {
	onAccount
	File   string `arg:"" type:"existingfile" help:"CSV file with the columns email, name and extension; - reads it from standard input."`
	DryRun bool   `help:"Check the file and say what would happen; change nothing."`
	JSON   bool   `name:"json" help:"Print JSON for scripts."`
}

// imported is the API's report.
type imported struct {
	DryRun    bool       `json:"dryRun"`
	Rows      int        `json:"rows"`
	Add       int        `json:"add"`
	Update    int        `json:"update"`
	Unchanged int        `json:"unchanged"`
	Errors    []rowFault `json:"errors"`
	Warnings  []rowFault `json:"warnings"`
}

type rowFault struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Run sends the file and prints the report; faults of rows are an error, so that scripts stop.
func (c *ImportCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	file, err := openInput(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	q := url.Values{"dryRun": {fmt.Sprint(c.DryRun)}, "filename": {filepath.Base(c.File)}}
	var report imported
	if err := op.call(ctx, "POST", "/v1/users/import?"+q.Encode(), content, &report); err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(out).Encode(report)
	} else {
		err = report.print(out)
	}
	if err == nil && len(report.Errors) > 0 {
		err = fmt.Errorf("%d rows of %s need correcting; nothing was changed", len(report.Errors), c.File)
	}
	return err
}

func (i imported) print(out io.Writer) error {
	for _, faults := range []struct {
		word string
		rows []rowFault
	}{{"error", i.Errors}, {"warning", i.Warnings}} {
		for _, f := range faults.rows {
			fmt.Fprintf(out, "%s: %s: %s\n", faults.word, plain(f.Location), plain(f.Message))
		}
	}
	format := "%d rows imported: %d added, %d changed, %d left as they are\n"
	if i.DryRun {
		format = "%d rows checked, nothing was changed: %d to add, %d to change, %d as they are\n"
	}
	_, err := fmt.Fprintf(out, format, i.Rows, i.Add, i.Update, i.Unchanged)
	return err
}
