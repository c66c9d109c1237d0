package access_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"demarc/internal/access"
	"demarc/internal/account"
)

// TestPolicyMatrix compares the whole policy with the written one: whoever widens it must say so in two places.
func TestPolicyMatrix(t *testing.T) {
	want, err := os.ReadFile("testdata/policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	fmt.Fprintf(&got, "%-16s", "")
	for _, a := range access.Actors() {
		fmt.Fprintf(&got, " %-9s", a)
	}
	words := map[access.Scope]string{access.Nothing: "-", access.Own: "own", access.All: "all"}
	for _, v := range access.Verbs() {
		fmt.Fprintf(&got, "\n%-16s", v)
		for _, a := range access.Actors() {
			fmt.Fprintf(&got, " %-9s", words[access.Allowed(a, v)])
		}
	}
	var lines []string
	for line := range strings.Lines(got.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	if g := strings.Join(lines, "\n") + "\n"; g != string(want) {
		t.Errorf("the policy is not the written one.\ngot:\n%s\nwant:\n%s", g, want)
	}
}

func TestUnknownIsDenied(t *testing.T) {
	for _, a := range append(access.Actors(), "", "root") {
		if s := access.Allowed(a, "delete_everything"); s != access.Nothing {
			t.Errorf("%s may do an unknown verb: %d", a, s)
		}
	}
	for _, v := range access.Verbs() {
		if s := access.Allowed("root", v); s != access.Nothing {
			t.Errorf("an unknown actor may %s", v)
		}
	}
}

func TestMayTellsNobodyFromForbidden(t *testing.T) {
	if _, err := (access.Principal{}).May(access.ReadUsers); !errors.Is(err, access.ErrNoSession) {
		t.Errorf("nobody: %v", err)
	}
	support := access.OfMember(account.Member{Account: "acc_1", Role: account.Support}, "ses_1")
	if _, err := support.May(access.ChangeUsers); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("support: %v", err)
	}
	odd := access.OfMember(account.Member{Account: "acc_1", Role: "root"}, "ses_1")
	if _, err := odd.May(access.ReadUsers); !errors.Is(err, access.ErrNoSession) {
		t.Errorf("a role that is not known: %v", err)
	}
}
