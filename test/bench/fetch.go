package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"demarc/softphone"
)

const (
	fetchDevices = 32
	fetchConns   = 2 // per device
)

// fetch compares the fetching of a credential, by open connections, with a bare chi handler that serves the same bytes
// with the same TLS settings and knows nobody.
func (b *bench) fetch(ctx context.Context, rows *table) (err error) {
	ours, err := startDemarc(ctx, b.program, b.scratch(), setting{roles: "connector, cloudlink, telephony", users: fetchDevices})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	profiles, err := b.enrol(ctx, ours, fetchDevices)
	if err != nil {
		return err
	}
	sample, err := fetchOnce(ctx, profiles[0], ours)
	if err != nil {
		return err
	}
	bare, err := b.startBare(ctx, ours, sample)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.stop()) }()
	for _, known := range []bool{false, true} {
		name := "credential fetched (200)"
		if known {
			name = "credential not changed (304)"
		}
		if err := rows.compare(ctx, b.timing, name, contestant{
			name: "demarc", server: ours.process, prepare: fetching(profiles, ours.https, ours, known),
		}, contestant{
			name: "bare chi", server: bare.process, prepare: fetching(profiles, bare.address, ours, known),
		}); err != nil {
			return err
		}
	}
	return nil
}

// enrol walks the path of an admin with the commands, up to n softphones with their token.
func (b *bench) enrol(ctx context.Context, d *demarc, n int) ([]*softphone.Profile, error) {
	if err := b.provision(ctx, d, n); err != nil {
		return nil, err
	}
	if _, err := b.command(ctx, d, "sync"); err != nil {
		return nil, err
	}
	var profiles []*softphone.Profile
	for i := range n {
		out, err := b.command(ctx, d, "invite", "--json", subscriber(i))
		if err != nil {
			return nil, err
		}
		var invited struct {
			Link string `json:"link"`
		}
		if err := json.Unmarshal(out, &invited); err != nil {
			return nil, fmt.Errorf("demarc invite --json: %w: %s", err, out)
		}
		p, err := softphone.Enrol(ctx, softphone.Enrolment{Link: invited.Link, Name: "bench"})
		if err != nil {
			return nil, err
		}
		profiles = append(profiles, p)
	}
	return profiles, nil
}

// provision imports n people and links the account to the service in the same process.
func (b *bench) provision(ctx context.Context, d *demarc, n int) error {
	var people strings.Builder
	people.WriteString("email,name,extension\n")
	for i := range n {
		fmt.Fprintf(&people, "%s,User %s,%s\n", email(i), subscriber(i), subscriber(i))
	}
	file := filepath.Join(filepath.Dir(d.dir), "people.csv")
	if err := os.WriteFile(file, []byte(people.String()), 0o600); err != nil {
		return err
	}
	if _, err := b.command(ctx, d, "import", file); err != nil {
		return err
	}
	_, err := b.command(ctx, d, "link")
	return err
}

// command runs a demarc command against the server.
func (b *bench) command(ctx context.Context, d *demarc, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.program, append([]string{"--config", d.config}, args...)...)
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("demarc %s: %w\n%s%s", strings.Join(args, " "), err, out, problem.Bytes())
	}
	return out, nil
}

// answer is what the server said to a fetch.
type answer struct {
	body []byte
	etag string
}

func fetchOnce(ctx context.Context, p *softphone.Profile, d *demarc) (answer, error) {
	config, err := d.clientTLS()
	if err != nil {
		return answer{}, err
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+d.https+credentialPath(p), nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+p.Token.Reveal())
	reply, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("fetch: %s: %s", reply.Status, body)
	}
	return answer{body: body, etag: reply.Header.Get("ETag")}, err
}

func credentialPath(p *softphone.Profile) string {
	return "/v1/devices/" + url.PathEscape(p.DeviceID) + "/credential"
}

// fetching asks over open connections, one request at a time on each; known: with the ETag of what is there.
func fetching(profiles []*softphone.Profile, address string, trusted *demarc, known bool) func(context.Context) (worker,
	func() error, error) {
	return func(ctx context.Context) (worker, func() error, error) {
		config, err := trusted.clientTLS()
		if err != nil {
			return worker{}, nil, err
		}
		f := &fetchers{}
		for _, p := range profiles {
			head := "GET " + credentialPath(p) + " HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n" +
				"Authorization: Bearer " + p.Token.Reveal() + "\r\n"
			want := " 200 "
			if known {
				a, err := fetchOnce(ctx, p, trusted)
				if err != nil {
					return worker{}, nil, err
				}
				head, want = head+"If-None-Match: "+a.etag+"\r\n", " 304 "
			}
			for range fetchConns {
				dialer := tls.Dialer{Config: config}
				conn, err := dialer.DialContext(ctx, "tcp", address)
				if err != nil {
					return worker{}, nil, errors.Join(err, f.close())
				}
				one := &fetcher{conn: conn, request: []byte(head + "\r\n"), want: []byte(want), in: make([]byte, 16<<10)}
				f.all = append(f.all, one)
				// A server closes a connection that asks nothing at first, and the other one has its turn before.
				if err := one.fetch(); err != nil {
					return worker{}, nil, errors.Join(err, f.close())
				}
			}
		}
		return worker{run: f.run, count: f.done.Load}, f.close, nil
	}
}

type fetchers struct {
	all  []*fetcher
	done atomic.Int64
}

func (f *fetchers) close() error {
	var all []error
	for _, one := range f.all {
		all = append(all, one.conn.Close())
	}
	return errors.Join(all...)
}

func (f *fetchers) run(ctx context.Context) error {
	return everybody(ctx, f.all, func(ctx context.Context, one *fetcher) error {
		for ctx.Err() == nil {
			if err := one.fetch(); err != nil {
				return err
			}
			f.done.Add(1)
		}
		return nil
	})
}

type fetcher struct {
	conn          net.Conn
	request, want []byte
	in            []byte
}

func (f *fetcher) fetch() error {
	if err := f.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := f.conn.Write(f.request); err != nil {
		return err
	}
	for n, whole := 0, -1; n != whole; {
		got, err := f.conn.Read(f.in[n:])
		if err != nil {
			return err
		}
		n += got
		if head := bytes.Index(f.in[:n], []byte("\r\n\r\n")); head > 0 && whole < 0 {
			if !bytes.Equal(f.in[8:13], f.want) {
				return fmt.Errorf("unexpected answer: %.200q", f.in[:n])
			}
			length, _ := strconv.Atoi(between(f.in[:head+4], "Content-Length: ", "\r\n")) // a 304 has none
			whole = head + 4 + length
		}
	}
	return nil
}
