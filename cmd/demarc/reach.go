package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

type reachCmd struct {
	onAccount
	Of   string `arg:"" name:"AOR" help:"Extension or user@domain."`
	JSON bool   `name:"json" help:"Print JSON for scripts."`
}

// toldPhone is one phone as the API tells it.
type toldPhone struct {
	Contact string `json:"contact"`
	Node    string `json:"node"`
	Status  int    `json:"status"`
	Reason  string `json:"reason"`
	Millis  int64  `json:"millis"`
}

func (reachCmd) Help() string {
	return "Sends an OPTIONS to each phone of a user, over the connection that the phone holds, at whichever node that is. Any " +
		"answer shows that calls would reach the phone. Exit code 1: no phone answered."
}

func (c *reachCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := op.call(ctx, http.MethodPost, "/v1/reach?"+url.Values{"of": {c.Of}}.Encode(), nil, &raw); err != nil {
		return err
	}
	var told struct {
		Phones []toldPhone `json:"phones"`
	}
	if err := json.Unmarshal(raw, &told); err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(raw); err != nil {
			return err
		}
	}
	answered := false
	for _, p := range told.Phones {
		answered = answered || p.Status != 0
		if !c.JSON {
			p.print(out)
		}
	}
	switch {
	case len(told.Phones) == 0:
		return fmt.Errorf("no phone of %s is connected: look with \"demarc user %s\" when one last was, and why it is not now", c.Of, c.Of)
	case !answered:
		return fmt.Errorf("no phone of %s answered", c.Of)
	}
	return nil
}

func (p toldPhone) print(out io.Writer) {
	if p.Status == 0 {
		fmt.Fprintf(out, "%s at node %s did not answer: %s\n", plain(p.Contact), plain(p.Node), plain(p.Reason))
		return
	}
	fmt.Fprintf(out, "%s at node %s answered %d %s after %d ms\n", plain(p.Contact), plain(p.Node), p.Status, plain(p.Reason), p.Millis)
}
