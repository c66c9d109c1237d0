package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"demarc/api"
)

// operator asks the running gateway of this machine through the unix socket in its data directory. Whoever may open
// the socket is the operator; there is nothing to sign in to.
type operator struct {
	socket  string
	account string // id or SIP domain; may be empty while there is only one account
	http    *http.Client
}

// onAccount is embedded by commands that work on one account.
type onAccount struct {
	Account string `short:"a" placeholder:"DOMAIN" help:"Account by id or SIP domain; optional while there is one."`
}

// operator returns the client for the gateway whose data directory the configuration names.
func (o onAccount) operator(r *root) (*operator, error) {
	effective, err := r.load()
	if err != nil {
		return nil, err
	}
	return newOperator(effective.Config.OperatorSocket(), o.Account), nil
}

func newOperator(socket, account string) *operator {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &operator{
		socket: socket, account: account,
		http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}},
	}
}

// problem is an answer that says no.
type problem struct {
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
	} `json:"errors"`
}

// Error returns the detail, and what is wrong line by line.
func (p *problem) Error() string {
	var b strings.Builder
	b.WriteString(plain(p.Detail))
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s", plain(e.Location), plain(e.Message))
	}
	return b.String()
}

// call asks the API. in is nil, a file as []byte, or something to encode as JSON; out is nil or where to decode to.
func (o *operator) call(ctx context.Context, method, path string, in, out any) error {
	reply, err := o.ask(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer reply.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(reply).Decode(out)
}

// read returns what stands at a path, whatever its format.
func (o *operator) read(ctx context.Context, path string) ([]byte, error) {
	reply, err := o.ask(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	defer reply.Close()
	return io.ReadAll(reply)
}

// ask sends a request and returns the body of its answer. An answer that says no is an error.
func (o *operator) ask(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	body, kind, err := encode(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://operator"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	if o.account != "" {
		req.Header.Set(api.AccountHeader, o.account)
	}
	reply, err := o.http.Do(req)
	if err != nil {
		return nil, o.unreachable(ctx, err)
	}
	if reply.StatusCode >= 400 {
		defer reply.Body.Close()
		refused := &problem{}
		if err := json.NewDecoder(reply.Body).Decode(refused); err != nil || refused.Detail == "" {
			refused.Detail = fmt.Sprintf("the gateway answered %s to %s %s", reply.Status, method, path)
		}
		return nil, refused
	}
	return reply.Body, nil
}

func (o *operator) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("no gateway answers at %s: start it with \"demarc serve\", or name its data directory with "+
			"--data-dir (%w)", o.socket, op.Err)
	}
	return err
}

func encode(in any) (io.Reader, string, error) {
	switch x := in.(type) {
	case nil:
		return nil, "application/json", nil
	case []byte:
		return bytes.NewReader(x), "text/csv", nil
	}
	encoded, err := json.Marshal(in)
	return bytes.NewReader(encoded), "application/json", err
}

// outage is a gateway that is away while a command follows what it tells. It is said once, and waited for.
type outage bool

// note takes how it went to ask the gateway.
func (o *outage) note(err error, w io.Writer) {
	if err != nil && !*o {
		fmt.Fprintf(w, "demarc: %s\n", plain(err.Error()))
	}
	*o = err != nil
}
