package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

type syncCmd struct {
	onAccount
	AllowLoss bool `help:"Go on although more than a tenth of the users lose their SIP credential: you have looked at the PBX."`
	JSON      bool `help:"Print the run as JSON."`
}

func (syncCmd) Help() string {
	return "Pulls every integrated user's SIP endpoints and credentials from the linked service now, and says what changed."
}

func (c *syncCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	path := "/v1/sync"
	if c.AllowLoss {
		path += "?allowLoss=true"
	}
	var run json.RawMessage
	if err := op.call(ctx, http.MethodPost, path, nil, &run); err != nil {
		return err
	}
	if c.JSON {
		if _, err := fmt.Fprintln(out, string(run)); err != nil {
			return err
		}
	}
	var told struct {
		Looked  int    `json:"looked"`
		Changed int    `json:"changed"`
		Pending int    `json:"pending"`
		Failed  int    `json:"failed"`
		Error   string `json:"error"`
	}
	if err := json.Unmarshal(run, &told); err != nil {
		return err
	}
	if told.Error != "" {
		return errors.New(plain(told.Error))
	}
	if c.JSON {
		return nil
	}
	_, err = fmt.Fprintf(out, "%d users looked at, %d changed, %d pending, %d failed\n", told.Looked, told.Changed,
		told.Pending, told.Failed)
	return err
}
