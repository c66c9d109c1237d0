package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
)

type accountsCmd struct {
	List accountsListCmd `cmd:"" default:"1" help:"List the accounts (tenants) of this gateway."`
	Add  accountsAddCmd  `cmd:"" help:"Add an account with its SIP domain and owner."`
}

type accountRow struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
}

type accountsListCmd struct {
	JSON bool `help:"Print JSON."`
}

func (c *accountsListCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := onAccount{}.operator(r)
	if err != nil {
		return err
	}
	var listed struct {
		Accounts []accountRow `json:"accounts"`
	}
	if err := op.call(ctx, http.MethodGet, "/v1/accounts", nil, &listed); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(listed)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tDOMAIN\tNAME")
	for _, a := range listed.Accounts {
		fmt.Fprintf(w, "%s\t%s\t%s\n", a.ID, plain(a.Domain), plain(a.Name))
	}
	return w.Flush()
}

type accountsAddCmd struct {
	Name   string `arg:"" help:"Name of the company."`
	Domain string `arg:"" help:"Its SIP domain, which is also its digest realm."`
	Owner  string `arg:"" help:"E-mail address of its owner."`
}

func (c *accountsAddCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := onAccount{}.operator(r)
	if err != nil {
		return err
	}
	var made accountRow
	asked := map[string]string{"name": c.Name, "domain": c.Domain, "owner": c.Owner}
	if err := op.call(ctx, http.MethodPost, "/v1/accounts", asked, &made); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s %s; let the owner in with: demarc sign-in --account %s %s\n", made.ID, plain(made.Domain),
		plain(made.Domain), plain(c.Owner))
	return err
}
