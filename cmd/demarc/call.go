package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type callCmd struct {
	onAccount
	ID   string `arg:"" name:"CALL" help:"Id of the call, from \"demarc calls\"."`
	JSON bool   `name:"json" help:"Print JSON for scripts."`
}

func (callCmd) Help() string {
	return "Shows one call: each leg with its phone, why it ended, and how its media was. Packets are counted as from the phone " +
		"and to the phone; loss and jitter stand for what the phone sent / what it received, as it reports itself."
}

func (c *callCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := op.call(ctx, "GET", "/v1/calls/"+url.PathEscape(c.ID), nil, &raw); err != nil {
		return noSuchCall(err, c.ID)
	}
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(raw)
	}
	var told toldCall
	if err := json.Unmarshal(raw, &told); err != nil {
		return err
	}
	return printCall(out, told, time.Now())
}

// noSuchCall names the calls that were asked for, and the command that lists them.
func noSuchCall(err error, ids ...string) error {
	if refused := (*problem)(nil); !errors.As(err, &refused) || refused.Code != "not_found" {
		return err
	}
	return fmt.Errorf("no call has the id %s: see \"demarc calls\"", strings.Join(quoted(ids), " or "))
}

func quoted(all []string) []string {
	quotes := make([]string, len(all))
	for i, one := range all {
		quotes[i] = strconv.Quote(one)
	}
	return quotes
}

func printCall(out io.Writer, c toldCall, now time.Time) error {
	caller := user(c.Caller)
	if c.CallerName != "" {
		caller += " (" + c.CallerName + ")"
	}
	fmt.Fprintf(out, "%s: %s from %s to %s, began %s, talked %s, node %s\n", plain(c.ID), c.State, plain(caller), plain(user(c.Dialled)), c.StartedAt.Local().Format(clock+" MST"), talked(c, now), plain(c.Node))
	if why := c.Cause.String(); why != "" {
		fmt.Fprintln(out, "ended by", plain(why))
	}
	fmt.Fprintln(out)
	width, _ := terminalWidth(out)
	t := &table{out: out, width: width}
	t.add("LEG", "USER", "PHONE", "AT", "CODEC", "SRTP", "FROM/TO PHONE", "LOST", "JITTER MS", "CALL-ID", "WHY IT ENDED")
	for _, l := range c.Legs {
		m := l.Media
		t.add(strconv.Itoa(l.Leg), user(l.User), l.Phone, l.Remote, m.Codec, m.Security,
			fmt.Sprintf("%d/%d", m.Received, m.Sent), fmt.Sprintf("%d/%d", m.Lost, m.LostThere),
			fmt.Sprintf("%.1f/%.1f", m.JitterMillis, m.JitterThereMillis), l.SIPCallID, l.Cause.String())
	}
	return t.print()
}

type hangupCmd struct {
	onAccount
	ID string `arg:"" name:"CALL" help:"Id of the call, from \"demarc calls --live\"."`
}

func (c *hangupCmd) Run(ctx context.Context, r *root, _ io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	return noSuchCall(op.call(ctx, "DELETE", "/v1/calls/"+url.PathEscape(c.ID), nil, nil), c.ID)
}

type transferCmd struct {
	onAccount
	ID  string `arg:"" name:"CALL" help:"Id of the call, from \"demarc calls --live\"."`
	Leg int    `arg:"" name:"LEG" help:"The leg of who transfers, from \"demarc call CALL\": whoever talks with it is transferred."`
	To  string `arg:"" name:"TO" help:"Who is called: extension or user@domain."`
}

func (transferCmd) Help() string {
	return "Has whoever talks with a leg talk with somebody else. The leg's phone is hung up when that one has answered; until then, and when " +
		"nobody does, it stays in the call."
}

func (c *transferCmd) Run(ctx context.Context, r *root, _ io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	err = op.call(ctx, "POST", "/v1/calls/"+url.PathEscape(c.ID)+"/transfer", map[string]any{"leg": c.Leg, "to": c.To}, nil)
	return noSuchCall(err, c.ID)
}

type conferenceCmd struct {
	onAccount
	ID   string `arg:"" name:"CALL" help:"Id of one call, from \"demarc calls --live\"."`
	Leg  int    `arg:"" name:"LEG" help:"The leg of who is in both calls, from \"demarc call CALL\": whoever talks with it joins the other call."`
	With string `arg:"" name:"WITH" help:"Id of the other call, which becomes the conference."`
}

func (conferenceCmd) Help() string {
	return "Has whoever talks with a leg join another call of the leg's user, where all then hear each other. The leg itself is hung up: its user is " +
		"in the other call already. CALL may be on hold, WITH should not be."
}

func (c *conferenceCmd) Run(ctx context.Context, r *root, _ io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	err = op.call(ctx, "POST", "/v1/calls/"+url.PathEscape(c.ID)+"/conference", map[string]any{"leg": c.Leg, "with": c.With}, nil)
	return noSuchCall(err, c.ID, c.With)
}
