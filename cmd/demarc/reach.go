package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

type reachCmd struct {
	onAccount
	Of string `arg:"" name:"AOR" help:"Extension or user@domain."`
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
	var told struct {
		Phones []struct {
			Contact, Node, Reason string
			Status                int
			Millis                int64
		}
	}
	if err := op.call(ctx, http.MethodPost, "/v1/reach?"+url.Values{"of": {c.Of}}.Encode(), nil, &told); err != nil {
		return err
	}
	answered := false
	for _, p := range told.Phones {
		if p.Status == 0 {
			fmt.Fprintf(out, "%s at node %s did not answer: %s\n", plain(p.Contact), plain(p.Node), plain(p.Reason))
			continue
		}
		answered = true
		fmt.Fprintf(out, "%s at node %s answered %d %s after %d ms\n", plain(p.Contact), plain(p.Node), p.Status,
			plain(p.Reason), p.Millis)
	}
	switch {
	case len(told.Phones) == 0:
		return fmt.Errorf("no phone of %s is connected: see \"demarc user %s\" for why", c.Of, c.Of)
	case !answered:
		return fmt.Errorf("no phone of %s answered", c.Of)
	}
	return nil
}
