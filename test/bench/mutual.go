package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"demarc/internal/pki"
)

// peers is how many nodes connect again and again, all at the same time: fewer than may be without their handshake at once.
const peers = 32

// mutual compares a new TLS 1.3 connection on which both sides show a certificate, one OPTIONS that is answered on it, and the
// close. demarc asks for a certificate at its listener between nodes alone, and refuses the OPTIONS there for it names no phone;
// Kamailio refuses it as a method that is not served. Neither looks anything up for it.
func (b *bench) mutual(ctx context.Context, rows *table) error {
	return b.withPostgres(ctx, func(database *postgres) (err error) {
		url, err := database.create(ctx, "demarc")
		if err != nil {
			return err
		}
		ours, err := startDemarc(ctx, b.program, b.scratch(),
			setting{roles: "telephony", store: url + "?sslmode=disable", users: 1, node: "node-a"})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, ours.stop()) }()
		asNode, err := member(filepath.Join(ours.dir, "pki"))
		if err != nil {
			return err
		}
		all := []contestant{{name: "demarc", server: ours.process, prepare: asking(ours.internal, asNode.Client("node-a"))}}
		if !b.alone {
			theirs, err := startKamailio(ctx, b.scratch(), kamailioSetting{users: 1, tls: true, mutual: true})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, theirs.stop()) }()
			config, err := theirs.mutualTLS()
			if err != nil {
				return err
			}
			all = append(all, contestant{name: "Kamailio", server: theirs.process, prepare: asking(theirs.tls, config)})
		}
		return rows.compare(ctx, b.timing, "new TLS connection with a client certificate and OPTIONS", all...)
	})
}

// member is a node of the installation whose authority is in the directory.
func member(authority string) (*pki.Node, error) {
	a, err := pki.LoadOrCreate(authority, []string{"localhost"}, time.Now())
	if err != nil {
		return nil, err
	}
	return a.Node("node-b", time.Now), nil
}

// mutualTLS is the settings of a client with the certificate of a node, of the same kind as Kamailio's own.
func (k *kamailio) mutualTLS() (*tls.Config, error) {
	node, err := member(filepath.Dir(k.ca))
	if err != nil {
		return nil, err
	}
	config, err := k.clientTLS()
	if err != nil {
		return nil, err
	}
	config.MinVersion = tls.VersionTLS13
	config.GetClientCertificate = node.Client("").GetClientCertificate
	return config, nil
}

func asking(address string, config *tls.Config) func(context.Context) (worker, func() error, error) {
	return func(ctx context.Context) (worker, func() error, error) {
		without := config.Clone()
		without.GetClientCertificate = nil
		if askOnce(ctx, address, without) == nil {
			return worker{}, nil, errors.New("a connection without a client certificate was served: this is another operation")
		}
		var done atomic.Int64
		run := func(ctx context.Context) error {
			return everybody(ctx, make([]struct{}, peers), func(ctx context.Context, _ struct{}) error {
				for ctx.Err() == nil {
					if err := askOnce(ctx, address, config); err != nil && ctx.Err() == nil {
						return err
					}
					done.Add(1)
				}
				return nil
			})
		}
		return worker{run: run, count: done.Load}, func() error { return nil }, nil
	}
}

// askOnce connects, asks, reads the whole answer and closes.
func askOnce(ctx context.Context, address string, config *tls.Config) (err error) {
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetDeadline(time.Now().Add(patience(conn))); err != nil {
		return err
	}
	local := conn.LocalAddr().String()
	if _, err := fmt.Fprintf(conn, "OPTIONS sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/TLS %[2]s;rport;branch=z9hG4bK%[2]s\r\nMax-Forwards: 70\r\n"+
		"From: <sip:%[1]s>;tag=1\r\nTo: <sip:%[1]s>\r\nCall-ID: %[2]s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", realm, local); err != nil {
		return err
	}
	answer := bufio.NewReader(conn)
	first, err := answer.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(first, "SIP/2.0 40") {
		return fmt.Errorf("unexpected answer: %q", first)
	}
	for line := first; line != "\r\n"; {
		if line, err = answer.ReadString('\n'); err != nil {
			return err
		}
	}
	return nil
}
