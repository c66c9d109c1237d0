package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

type callsCmd struct {
	onAccount
	User  string        `short:"u" placeholder:"EXT" help:"Only calls of this user: extension or user@domain."`
	Live  bool          `short:"l" help:"Only calls that last."`
	Since time.Duration `placeholder:"AGO" help:"Only calls that began at most so long ago, e.g. 2h."`
	Limit int           `default:"50" help:"How many at most, the newest first."`
	JSON  bool          `name:"json" help:"Print JSON for scripts."`
}

func (callsCmd) Help() string {
	return "Lists calls, the newest first. Why a call ended stands in the last column; \"demarc call ID\" " +
		"shows its legs, and \"demarc trace\" with a leg's Call-ID its messages."
}

// Validate refuses what nobody can mean.
func (c *callsCmd) Validate() error {
	switch {
	case c.Limit < 1:
		return fmt.Errorf("--limit %d: use 1 or more", c.Limit)
	case c.Since < 0:
		return fmt.Errorf("--since %v: write how long ago, like 2h", c.Since)
	}
	return nil
}

// toldCall is a call as the API tells it.
type toldCall struct {
	ID         string    `json:"id"`
	State      string    `json:"state"`
	Caller     string    `json:"caller"`
	CallerName string    `json:"callerName"`
	Dialled    string    `json:"dialled"`
	StartedAt  time.Time `json:"startedAt"`
	AnsweredAt time.Time `json:"answeredAt"`
	EndedAt    time.Time `json:"endedAt"`
	Cause      toldCause `json:"cause"`
	Node       string    `json:"node"`
	Legs       []toldLeg `json:"legs"`
}

type toldCause struct {
	Who  string `json:"who"`
	Code int    `json:"code"`
	Text string `json:"text"`
}

type toldLeg struct {
	Leg        int       `json:"leg"`
	User       string    `json:"user"`
	Phone      string    `json:"phone"`
	Remote     string    `json:"remote"`
	SIPCallID  string    `json:"sipCallId"`
	AnsweredAt time.Time `json:"answeredAt"`
	Cause      toldCause `json:"cause"`
	Media      struct {
		Codec             string  `json:"codec"`
		Security          string  `json:"security"`
		Sent              uint64  `json:"sent"`
		Received          uint64  `json:"received"`
		Lost              uint64  `json:"lost"`
		LostThere         uint64  `json:"lostThere"`
		JitterMillis      float64 `json:"jitterMillis"`
		JitterThereMillis float64 `json:"jitterThereMillis"`
	} `json:"media"`
}

func (c *callsCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	all, err := c.list(ctx, op, time.Now())
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"calls": all})
	}
	calls := make([]toldCall, len(all))
	for i, raw := range all {
		if err := json.Unmarshal(raw, &calls[i]); err != nil {
			return err
		}
	}
	return printCalls(out, calls, time.Now())
}

// pageSize is how many calls are asked for at once.
const pageSize = 500

// list follows the pages up to the limit.
func (c *callsCmd) list(ctx context.Context, op *operator, now time.Time) ([]json.RawMessage, error) {
	query := url.Values{"live": {strconv.FormatBool(c.Live)}}
	if c.User != "" {
		query.Set("user", c.User)
	}
	if c.Since > 0 {
		query.Set("since", now.Add(-c.Since).UTC().Format(time.RFC3339))
	}
	all := []json.RawMessage{}
	for len(all) < c.Limit {
		query.Set("limit", strconv.Itoa(min(pageSize, c.Limit-len(all))))
		var page struct {
			Calls []json.RawMessage `json:"calls"`
			Next  string            `json:"next"`
		}
		if err := op.call(ctx, "GET", "/v1/calls?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Calls...)
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	return all, nil
}

func printCalls(out io.Writer, calls []toldCall, now time.Time) error {
	if len(calls) == 0 {
		_, err := fmt.Fprintln(out, "no calls")
		return err
	}
	width, _ := terminalWidth(out)
	t := &table{out: out, width: width, paint: callColours}
	t.add(by("STARTED", now), "FROM", "TO", "STATE", "TALKED", "CALL", "WHY IT ENDED")
	for _, c := range calls {
		t.add(c.StartedAt.Local().Format(clock), user(c.Caller), user(c.Dialled), c.State, talked(c, now), c.ID,
			c.Cause.String())
	}
	return t.print()
}

// callColours paints the states of calls.
func callColours(_ int, cell string) (before, after string) {
	colours := map[string]string{"ringing": "\x1b[33m", "talking": "\x1b[32m"}
	if c, ok := colours[cell]; ok {
		return c, "\x1b[0m"
	}
	return "", ""
}

// user leaves scheme and domain out: all are of one account.
func user(aor string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(aor, "sip:"), "@")
	return name
}

// talked tells how long people talked.
func talked(c toldCall, now time.Time) string {
	if c.AnsweredAt.IsZero() {
		return "-"
	}
	end := c.EndedAt
	if end.IsZero() {
		end = now
	}
	d := end.Sub(c.AnsweredAt).Round(time.Second)
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// String returns who ended it, the SIP code and the text; nothing while it lasts.
func (c toldCause) String() string {
	if c.Who == "" {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %d %s", c.Who, c.Code, c.Text))
}
