package main

import (
	"cmp"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"demarc/internal/pki"
)

//go:embed kamailio.cfg
var kamailioConfig string

// kamailio is the other registrar.
type kamailio struct {
	*process
	udp, tls, ca string
}

// kamailioSetting says with how many users in memory it starts, and what else.
type kamailioSetting struct {
	users       int
	tls         bool
	mutual      bool   // clients are to show a certificate
	challenging bool   // callers are asked for a digest
	database    string // URL; empty: none
	children    int    // processes for UDP; 2 when 0
	allocator   string // of shared memory; plain when empty
}

// Allocators of Kamailio's shared memory. Debian's default is the debugging one, which doubles the cost. The plain one looks through
// a list of free pieces whenever it takes one back: a few seconds after many calls, when their transactions are forgotten, one
// process does nothing else, and the others wait for it. The two-level one has no such list.
const (
	plain    = "fm"
	twoLevel = "tlsf"
)

// startKamailio starts it.
func startKamailio(ctx context.Context, dir string, s kamailioSetting) (*kamailio, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	modules, err := filepath.Glob("/usr/lib/*/kamailio/modules/usrloc.so")
	if err != nil || len(modules) == 0 {
		return nil, errors.New("the modules of Kamailio are not installed: run test/setup/packages bench")
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	k := &kamailio{udp: ports[0], tls: ports[1], ca: filepath.Join(dir, "pki", "ca.pem")}
	args := []string{"-x", cmp.Or(s.allocator, plain), "-X", plain, "-m", "2048", "-M", "16", "-DD", "-E", "-w", dir, "-f",
		filepath.Join(dir, "kamailio.cfg"), "-P", filepath.Join(dir, "pid"), "-Y", dir}
	if s.tls {
		args = append(args, "-A", "WITH_TLS")
		if err := certify(dir, s.mutual); err != nil {
			return nil, err
		}
	}
	if s.database != "" {
		args = append(args, "-A", "WITH_PG")
	}
	if s.challenging {
		args = append(args, "-A", "WITH_CALL_AUTH")
	}
	text := strings.NewReplacer("@UDP@", k.udp, "@TLS@", k.tls, "@DIR@", dir, "@MODULES@", filepath.Dir(modules[0])+"/",
		"@DATABASE@", s.database, "@CHILDREN@", strconv.Itoa(cmp.Or(s.children, 2)), "@USERS@", strconv.Itoa(s.users)).Replace(kamailioConfig)
	if err := os.WriteFile(filepath.Join(dir, "kamailio.cfg"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	if k.process, err = start(nil, dir, "kamailio", args...); err != nil {
		return nil, err
	}
	if err := k.await(ctx, k.answers); err != nil {
		return nil, errors.Join(err, k.stop())
	}
	return k, nil
}

// answers asks with a method that is refused.
func (k *kamailio) answers(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", k.udp)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	local := conn.LocalAddr().String()
	if _, err := fmt.Fprintf(conn, "OPTIONS sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;rport;branch=z9hG4bKready\r\n"+
		"Max-Forwards: 70\r\nFrom: <sip:%[1]s>;tag=1\r\nTo: <sip:%[1]s>\r\nCall-ID: ready\r\nCSeq: 1 OPTIONS\r\n"+
		"Content-Length: 0\r\n\r\n", realm, local); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 2048))
	return err
}

func (k *kamailio) clientTLS() (*tls.Config, error) { return trust(k.ca) }

// certify gives Kamailio the same kind of certificate that demarc makes for itself.
func certify(dir string, mutual bool) error {
	path := filepath.Join(dir, "pki")
	if _, err := pki.LoadOrCreate(path, []string{"localhost"}, time.Now()); err != nil {
		return err
	}
	clients := "verify_certificate = no\nrequire_certificate = no\n"
	if mutual {
		clients = "verify_certificate = yes\nrequire_certificate = yes\nca_list = " + filepath.Join(path, "ca.pem") + "\n"
	}
	return os.WriteFile(filepath.Join(dir, "tls.cfg"), []byte("[server:default]\nmethod = TLSv1.2+\n"+clients+
		"private_key = "+filepath.Join(path, "server.key")+
		"\ncertificate = "+filepath.Join(path, "server.pem")+"\n"), 0o644)
}

// kamailioVersion returns what kamailio says it is, for the table.
func kamailioVersion() string {
	out, err := exec.Command("kamailio", "-v").Output()
	if err != nil {
		return "not installed"
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(strings.TrimPrefix(first, "version: "))
}
