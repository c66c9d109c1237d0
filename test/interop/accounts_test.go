package interop_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"demarc/gateway"
	"demarc/internal/config"
)

// elsewhere is the domain of another account on the same gateway. Its people have the same extensions and passwords.
const elsewhere = "elsewhere.test"

// withAnotherAccount has a gateway find another account in its store, with people of its own.
func withAnotherAccount(t *testing.T) func(*config.Config) {
	return func(c *config.Config) {
		before := *c
		before.Account.Domain = elsewhere
		before.Telephony.Directory = write(t, t.TempDir(), "users.yaml", strings.ReplaceAll(manyPeople(), domain, elsewhere))
		g := gateway.New(gateway.Config{Config: before, Log: slog.New(slog.DiscardHandler), Version: "interop"})
		if err := g.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		c.Account.Domain = domain
	}
}

// from has somebody of another domain do what a scenario says.
func (s scenario) from(domain string) scenario {
	var moved scenario
	for _, step := range s {
		moved = append(moved, strings.ReplaceAll(step, "[domain]", domain))
	}
	return moved
}

// Who knows all names of a call but is of another account takes it over as little as he joins it, not even as a namesake of who has it; the
// call goes on, and a colleague can.
func TestAnotherAccountTakesNoCallOver(t *testing.T) {
	t.Parallel()
	f := newCallFloor(t, false, withAnotherAccount(t))
	extension, caller := f.person(), f.person()
	to := f.sippCallee(t, extension, steps(answers, obeys))
	from := f.sippRun(t, steps(invited(plainSDP), answered, obeys), caller, extension, freePort(t))
	theirs, callers := f.dialogOf(t, extension, false, 200), f.dialogOf(t, caller, true, 200)
	eventually(t, "they talk", func() (bool, any) {
		all := f.messages(extension)
		return strings.Contains(fmt.Sprint(all), "ACK sip:"), len(all)
	})
	refused := func(header string, code int) scenario {
		return steps(invited(plainSDP, header), scenario{got(code), ackBack(2, 3)}).from(elsewhere)
	}
	for who, s := range map[string]scenario{
		"who only calls somebody that is not there": steps(invited(plainSDP), scenario{got(404), ackBack(2, 3)}).from(elsewhere),
		"who names the dialog of the callee":        refused("Replaces: "+theirs, 481),
		"who names that of the caller":              refused("Replaces: "+callers, 481),
		"who wants to join the callee":              refused("Join: "+theirs, 481),
		"who wants to join the caller":              refused("Join: "+callers, 481),
	} {
		callee := extension
		if strings.Contains(who, "not there") {
			callee = "nobody"
		}
		ends(t, who, f.sippRun(t, s, extension, callee, freePort(t)))
	}
	over := steps(invited(plainSDP, "Replaces: "+theirs), answered, scenario{pause(300)}, leaves(3))
	ends(t, "a colleague who takes it over", f.sippCaller(t, extension, over))
	ends(t, "whose call it was", to)
	ends(t, "the caller", from)
	if c := f.callOf(t, caller); c.Cause.Code != 200 || len(c.Legs) != 3 {
		t.Errorf("history: %+v", c)
	}
}
