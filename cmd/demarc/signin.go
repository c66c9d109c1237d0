package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// SignInCmd makes a one-time link that signs a member in to the portal.
type SignInCmd struct {
	onAccount
	Email string `arg:"" help:"E-mail address of the member."`
}

// Run prints the link.
func (c *SignInCmd) Run(ctx context.Context, r *root, out io.Writer) error {
	op, err := c.operator(r)
	if err != nil {
		return err
	}
	var made struct {
		URL       string    `json:"url"`
		ExpiresAt time.Time `json:"expiresAt"`
	}
	asked := map[string]string{"email": c.Email, "account": c.Account}
	if err := op.call(ctx, "POST", "/v1/sign-in-links", asked, &made); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\nsigns %s in once, until %s\n", plain(made.URL), plain(c.Email),
		made.ExpiresAt.Local().Format("15:04 MST"))
	return err
}
