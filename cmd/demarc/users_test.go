package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"demarc/api"
	"demarc/internal/access"
	"demarc/internal/account"
	"demarc/internal/seal/sealtest"
	"demarc/provisioning"
	"demarc/store"
	storeaccess "demarc/store/access"
	storeprovisioning "demarc/store/provisioning"
)

// operatorSocket serves the operator's API over real services on SQLite in a fresh data directory.
func operatorSocket(t *testing.T) *root {
	t.Helper()
	dir := t.TempDir()
	db, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(dir, "demarc.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	people := storeaccess.New(db)
	users := provisioning.New(provisioning.Config{
		Store: storeprovisioning.New(db, sealtest.New(t)), Log: log, ServerURL: "https://demarc.example",
	})
	service := access.New(access.Config{Accounts: people, Members: people, Sessions: people, Now: time.Now})
	if _, err := service.CreateAccount(t.Context(), "One", "one.example", "o@one.example"); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "demarc.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: api.NewOperator(api.Config{
		Access: service, Provisioning: users, Log: log, ServerURL: "https://demarc.example", Now: time.Now,
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return &root{DataDir: dir}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func importPeople(t *testing.T, r *root) {
	t.Helper()
	path := writeFile(t, "p.csv", "email,name,extension\nann@x.example,Ann Berg,200\nben@x.example,Ben Cole,201\n")
	var out bytes.Buffer
	if err := (&ImportCmd{File: path}).Run(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "2 rows imported: 2 added") {
		t.Error(out.String())
	}
}

func TestImportFromStandardInput(t *testing.T) {
	r := operatorSocket(t)
	file, err := os.Open(writeFile(t, "p.csv", "email,name\nann@x.example,Ann\n"))
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stdin
	os.Stdin = file
	t.Cleanup(func() { os.Stdin = old; _ = file.Close() })
	var out bytes.Buffer
	if err := (&ImportCmd{File: "-"}).Run(t.Context(), r, &out); err != nil || !strings.Contains(out.String(), "1 added") {
		t.Errorf("%v %s", err, &out)
	}
}

func TestImportDryRunChangesNothing(t *testing.T) {
	r := operatorSocket(t)
	good := writeFile(t, "p.csv", "email,name\nann@x.example,Ann\n")
	bad := writeFile(t, "q.csv", "email,name\nnobody,Ann\n")
	var out bytes.Buffer
	if err := (&ImportCmd{File: good, DryRun: true}).Run(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "nothing was changed") {
		t.Error(out.String())
	}
	for _, dry := range []bool{true, false} {
		out.Reset()
		err := (&ImportCmd{File: bad, DryRun: dry}).Run(t.Context(), r, &out)
		if err == nil || !strings.Contains(err.Error()+out.String(), "row 2") {
			t.Errorf("dry %v: %v\n%s", dry, err, &out)
		}
	}
	out.Reset()
	if err := (&UsersCmd{}).Run(t.Context(), r, &out); err != nil || !strings.Contains(out.String(), "0 shown") {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestUsersTableAndJSON(t *testing.T) {
	r := operatorSocket(t)
	importPeople(t, r)
	var out bytes.Buffer
	if err := (&UsersCmd{State: []string{"pending", "inactive"}}).Run(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NAME", "WHY", "Ann Berg", "200", "pending", "turn", "2 shown", "2 pending"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape codes off a terminal")
	}
	out.Reset()
	if err := (&UsersCmd{JSON: true, Search: "ben"}).Run(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Users  []statusUser
		Counts map[string]int
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got.Users) != 1 || got.Users[0].Extension != "201" ||
		got.Counts["pending"] != 2 {
		t.Errorf("%v %+v", err, got)
	}
}

func TestUserAndInvite(t *testing.T) {
	r := operatorSocket(t)
	importPeople(t, r)
	for _, who := range []string{"200", "ANN@x.example"} {
		var out bytes.Buffer
		if err := (&UserCmd{Who: who}).Run(t.Context(), r, &out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Ann Berg, extension 200", "none yet", "added"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: lacks %q:\n%s", who, want, &out)
			}
		}
	}
	var out bytes.Buffer
	if err := (&InviteCmd{Who: "201", Kind: "mobile", JSON: true}).Run(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	var made invitation
	if err := json.Unmarshal(out.Bytes(), &made); err != nil || made.Kind != "mobile" ||
		!strings.Contains(made.Link, made.Code) {
		t.Errorf("%v %s", err, &out)
	}
	err := (&UserCmd{Who: "999"}).Run(t.Context(), r, &out)
	if err == nil || !strings.Contains(err.Error(), "demarc users") {
		t.Errorf("nobody: %v", err)
	}
}

func TestSignInLink(t *testing.T) {
	r := operatorSocket(t)
	var out bytes.Buffer
	if err := (&SignInCmd{Email: "o@one.example"}).Run(t.Context(), r, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "https://demarc.example/sign-in?token=") {
		t.Error(out.String())
	}
	err := (&SignInCmd{Email: "x@one.example"}).Run(t.Context(), r, &out)
	if err == nil || !strings.Contains(err.Error(), "add the member") {
		t.Errorf("a stranger: %v", err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	err := (&UsersCmd{}).Run(t.Context(), &root{DataDir: t.TempDir()}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "demarc serve") {
		t.Errorf("no gateway: %v", err)
	}
	r := operatorSocket(t)
	err = (&UsersCmd{onAccount: onAccount{Account: "none.example"}}).Run(t.Context(), r, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "none.example") {
		t.Errorf("no such account: %v", err)
	}
}

// lines is an output that tells when it was written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
	got chan struct{}
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.buf.Write(b)
	select {
	case l.got <- struct{}{}:
	default:
	}
	return n, err
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func TestWatchShowsChanges(t *testing.T) {
	r := operatorSocket(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out := &lines{got: make(chan struct{}, 1)}
	done := make(chan error, 1)
	go func() { done <- (&UsersCmd{Watch: true, JSON: true}).Run(ctx, r, out) }()
	<-out.got
	importPeople(t, r)
	for !strings.Contains(out.String(), "ann@x.example") {
		select {
		case <-out.got:
		case <-ctx.Done():
			t.Fatalf("the change was not shown:\n%s", out)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Ctrl-C is not an error: %v", err)
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d documents for one change:\n%s", n, out)
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	var out bytes.Buffer
	tbl := &table{out: &out, width: 60, paint: stateColours}
	tbl.add("NAME", "STATE", "WHY")
	tbl.add("Evil \x1b[2J name\nwith a line", "sip_error", strings.Repeat("long ", 40))
	if err := tbl.print(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "\x1b[2J") || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("a stranger's escape code came through: %q", out.String())
	}
	for line := range strings.Lines(out.String()) {
		visible := strings.NewReplacer("\x1b[31m", "", "\x1b[0m", "", "\n", "").Replace(line)
		if n := len([]rune(visible)); n > 60 {
			t.Errorf("%d columns: %q", n, visible)
		}
	}
}

func TestQRNeedsRoom(t *testing.T) {
	var out bytes.Buffer
	link := account.Secret("demarc://demarc.example:8443/enrol?code=ABCD-EFGH-JKMN")
	if err := drawQR(&out, link, 20); err != nil || strings.Contains(out.String(), "█") {
		t.Errorf("%v: torn picture drawn", err)
	}
	out.Reset()
	if err := drawQR(&out, link, 200); err != nil || !strings.Contains(out.String(), "█") {
		t.Errorf("%v: no picture", err)
	}
}
