package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// UsersCmd lists every integrated user with state, SIP code and text, device and last change.
type UsersCmd struct {
	onAccount
	State  []string `enum:"pending,inactive,registered,sip_error" placeholder:"STATE" help:"Only ${enum}."`
	Search string   `short:"s" placeholder:"TEXT" help:"Only users whose name, e-mail address or extension has this text."`
	JSON   bool     `name:"json" help:"Print JSON for scripts; with --watch one document per change."`
	Watch  bool     `short:"w" help:"Stay and show changes as they come, until Ctrl-C."`
}

// statusUser is a user as the API tells.
type statusUser struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Email     string         `json:"email"`
	Extension string         `json:"extension"`
	State     string         `json:"state"`
	SIPCode   int            `json:"sipCode"`
	Text      string         `json:"text"`
	Device    string         `json:"device"`
	Changed   time.Time      `json:"changed"`
	Devices   []statusDevice `json:"devices"`
	Timeline  []statusEntry  `json:"timeline"`
}

type statusDevice struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	Kind           string    `json:"kind"`
	State          string    `json:"state"`
	SIPCode        int       `json:"sipCode"`
	Text           string    `json:"text"`
	Changed        time.Time `json:"changed"`
	LastRegistered time.Time `json:"lastRegistered"`
	UserAgent      string    `json:"userAgent"`
	Remote         string    `json:"remote"`
}

type statusEntry struct {
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Device string    `json:"device"`
	Code   int       `json:"code"`
	Text   string    `json:"text"`
}

// listing is what --json prints: the API's own objects.
type listing struct {
	Users  []json.RawMessage `json:"users"`
	Counts map[string]int    `json:"counts"`
}

// Run prints the list, once or until ctx ends.
func (c *UsersCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	if !c.Watch {
		all, err := c.list(ctx, op)
		if err != nil {
			return err
		}
		return c.print(out, all, false)
	}
	return c.watch(ctx, op, out)
}

// watch prints the list again when it has changed. A gateway that is away for a while is told and waited for.
func (c *UsersCmd) watch(ctx context.Context, op *operator, out io.Writer) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last, drawn := "", time.Time{}
	var away outage
	for {
		all, err := c.list(ctx, op)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && last == "":
			return err
		case err != nil:
			if c.JSON {
				away.note(err, os.Stderr)
			} else {
				fmt.Fprintf(out, "\r\x1b[Kdemarc: %s", plain(err.Error()))
			}
		default:
			away = false
			now, err := all.fingerprint()
			if err != nil {
				return err
			}
			// The times in the table grow old by themselves.
			if now != last || (!c.JSON && time.Since(drawn) > 10*time.Second) {
				last, drawn = now, time.Now()
				if err := c.print(out, all, true); err != nil {
					return err
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// list follows the pages to the end.
func (c *UsersCmd) list(ctx context.Context, op *operator) (listing, error) {
	all := listing{Users: []json.RawMessage{}}
	q := url.Values{"limit": {"500"}}
	if len(c.State) > 0 {
		q.Set("state", strings.Join(c.State, ","))
	}
	if c.Search != "" {
		q.Set("q", c.Search)
	}
	for {
		var page struct {
			listing
			Next string `json:"next"`
		}
		if err := op.call(ctx, "GET", "/v1/users?"+q.Encode(), nil, &page); err != nil {
			return all, err
		}
		all.Users, all.Counts = append(all.Users, page.Users...), page.Counts
		if page.Next == "" {
			return all, nil
		}
		q.Set("after", page.Next)
	}
}

// fingerprint changes when something has happened; texts that only tell how long it has been do not count.
func (l listing) fingerprint() (string, error) {
	var b strings.Builder
	for _, raw := range l.Users {
		var u statusUser
		if err := json.Unmarshal(raw, &u); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%q %q %s %d %q %d %d\n", u.ID, u.Name+u.Extension, u.State, u.SIPCode, u.Device,
			u.Changed.UnixNano(), len(u.Devices))
	}
	return b.String() + fmt.Sprint(l.Counts), nil
}

func (c *UsersCmd) print(out io.Writer, all listing, live bool) error {
	if c.JSON {
		encoder := json.NewEncoder(out)
		if !live {
			encoder.SetIndent("", "  ")
		}
		return encoder.Encode(all)
	}
	users := make([]statusUser, len(all.Users))
	for i, raw := range all.Users {
		if err := json.Unmarshal(raw, &users[i]); err != nil {
			return err
		}
	}
	if _, terminal := terminalWidth(out); live && terminal {
		fmt.Fprint(out, "\x1b[H\x1b[2J")
	}
	return printUsers(out, users, all.Counts, time.Now())
}

// printUsers prints the table that demarc users and the demo show.
func printUsers(out io.Writer, users []statusUser, counts map[string]int, now time.Time) error {
	width, _ := terminalWidth(out)
	t := &table{out: out, width: width, paint: stateColours}
	t.add("NAME", "EXT", "STATE", "SIP", "DEVICE", "CHANGED", "WHY")
	for _, u := range users {
		code, why := splitCode(u.SIPCode, u.Text)
		t.add(u.Name, u.Extension, u.State, code, u.Device, ago(now, u.Changed), why)
	}
	if err := t.print(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d shown; of all: %d registered, %d SIP error, %d inactive, %d pending\n", len(users),
		counts["registered"], counts["sip_error"], counts["inactive"], counts["pending"])
	return err
}

// splitCode takes the SIP code out of a text that begins with it, so that it stands once.
func splitCode(code int, text string) (string, string) {
	if code == 0 {
		return "", text
	}
	digits := strconv.Itoa(code)
	return digits, strings.TrimLeft(strings.TrimPrefix(text, digits), " .")
}

// find returns the user with that id, extension or e-mail address.
func find(ctx context.Context, op *operator, who string) (statusUser, error) {
	var found statusUser
	err := op.call(ctx, "GET", "/v1/users/"+url.PathEscape(who), nil, &found)
	if refused := (*problem)(nil); err == nil || !errors.As(err, &refused) || refused.Code != "not_found" {
		return found, err
	}
	all, err := (&UsersCmd{Search: who}).list(ctx, op)
	if err != nil {
		return found, err
	}
	for _, raw := range all.Users {
		var u statusUser
		if err := json.Unmarshal(raw, &u); err != nil {
			return found, err
		}
		if u.Extension == who || strings.EqualFold(u.Email, who) {
			return u, nil
		}
	}
	return found, fmt.Errorf("no user has the id, extension or e-mail address %q: see \"demarc users\"", who)
}
