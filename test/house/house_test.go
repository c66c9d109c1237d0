// Package house holds the test that keeps imports going downhill, as docs/architecture.md draws them.
package house_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "demarc"

// floors names every package of the house. A trailing "/*" stands for all packages below. The first match counts.
var floors = []struct {
	floor    int
	packages []string
}{
	{0, []string{"docs/examples", "internal/account", "internal/bounded", "internal/compact", "internal/timeline", "internal/lease", "internal/wheel", "cloudlink", "telephony",
		"telephony/callswitch/states", "telephony/digest", "telephony/sdp", "telephony/signal", "telephony/audio", "telephony/trace", "telephony/wire"}},
	{1, []string{"connector", "cloudlink/oauth", "provisioning", "pushrelay", "internal/access", "internal/audit", "telephony/authentication", "telephony/registration",
		"telephony/registrar", "telephony/registrar/location", "telephony/events", "telephony/lamps", "telephony/directory",
		"telephony/callswitch", "telephony/callswitch/encoding", "telephony/features", "telephony/trunk", "telephony/zone"}},
	{2, []string{"telephony/sip", "telephony/sip/transaction", "telephony/resolver", "telephony/rtp", "telephony/exchange", "internal/pki", "internal/seal", "internal/config",
		"internal/qrcode", "internal/requestlog",
		"internal/notify", "store"}},
	{3, []string{"telephony/edge", "telephony/edge/*", "telephony/nodes", "telephony/media", "cloudlink/client", "cloudlink/server", "cloudlink/pbx/*",
		"pushrelay/*", "store/*", "api", "portal", "softphone"}},
	{4, []string{"gateway"}},
	{5, []string{"cmd/demarc", "test/*"}},
}

// testHelpers are imported by tests alone.
var testHelpers = []string{"store/storetest", "internal/seal/sealtest", "test/shipped"}

// forbidden standard and outside packages by floor: floor 0 holds nouns, floor 1 rules.
var forbidden = map[int][]string{
	0: {"net/http", "database/sql", "os"},
	1: {"net/http", "database/sql", "github.com/emiago/sipgo/sip", "github.com/jackc/pgx/v5"},
}

// owners lists packages that few places alone may import: outside ones, and those whose nouns and rules are packages of their own.
var owners = map[string][]string{
	"github.com/emiago/sipgo/sip": {"telephony/sip"},
	"github.com/coder/websocket":  {"telephony/edge/websocket"},
	"github.com/pion/srtp/v3":     {"telephony/rtp"},
	"github.com/pion/dtls/v3":     {"telephony/rtp"},
	"github.com/pion/rtp":         {"telephony/rtp"},
	"modernc.org/sqlite":          {"store"},
	"github.com/jackc/pgx/v5":     {"store", "store/storetest"},

	module + "/telephony/registrar": {"gateway", "store/registrar"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsGoDownhill(t *testing.T) {
	packages := list(t)
	if len(packages) < 20 {
		t.Fatalf("only %d packages found: the check sees nothing", len(packages))
	}
	for _, p := range packages {
		name := local(p.ImportPath)
		if slices.Contains(testHelpers, name) {
			continue
		}
		floor, ok := floorOf(name)
		if !ok {
			t.Errorf("%s stands on no floor: add it to the table here and in docs/architecture.md", name)
			continue
		}
		for _, imported := range p.Imports {
			if fault := breach(name, floor, imported); fault != "" {
				t.Errorf("%s (floor %d) imports %s: %s", name, floor, imported, fault)
			}
		}
	}
}

// breach says why the package may not import that path, or nothing.
func breach(name string, floor int, imported string) string {
	if only, ok := owners[imported]; ok && !slices.Contains(only, name) {
		return "only " + strings.Join(only, " and ") + " may"
	}
	if !strings.HasPrefix(imported, module+"/") {
		switch {
		case slices.Contains(forbidden[floor], imported):
			return "this floor is free of it"
		case floor == 0 && strings.Contains(imported, "."):
			return "floor 0 uses the standard library alone"
		}
		return ""
	}
	target := local(imported)
	if slices.Contains(testHelpers, target) && floor != 5 {
		return "it serves tests alone"
	}
	if slices.Contains(testHelpers, target) {
		return ""
	}
	below, ok := floorOf(target)
	switch {
	case !ok:
		return "it stands on no floor"
	case below > floor:
		return "imports go down only"
	case below == 3 && floor == 3 && !strings.HasPrefix(target, name+"/") && !strings.HasPrefix(name, target+"/"):
		return "adapters do not import each other"
	case name == "softphone" && below == 1:
		return "the softphone stands on floors 0 and 2 alone"
	case floor == 2 && below == 1 && name != "telephony/exchange":
		return "stacks stand on floor 0"
	case target == "store" && floor < 3:
		return "rules do not know the store"
	case floor == 5 && below == 5:
		return "programs do not import each other"
	}
	return ""
}

func TestBreachesAreSeen(t *testing.T) {
	for _, c := range []struct {
		name, imported string
		fine           bool
	}{
		{"provisioning", "demarc/store", false},
		{"provisioning", "net/http", false},
		{"provisioning", "demarc/cloudlink", true},
		{"cloudlink", "github.com/go-chi/chi/v5", false},
		{"api", "demarc/portal", false},
		{"api", "demarc/provisioning", true},
		{"softphone", "demarc/provisioning", false},
		{"softphone", "demarc/telephony/sip", true},
		{"telephony/edge", "github.com/emiago/sipgo/sip", false},
		{"telephony/edge", "demarc/telephony/edge/guard", true},
		{"telephony/edge/guard", "demarc/telephony/media", false},
		{"telephony/edge/guard", "demarc/telephony/edge/websocket", false},
		{"telephony/sip", "demarc/telephony/registrar", false},
		{"telephony/edge", "demarc/telephony/registrar", false},
		{"telephony/edge", "demarc/telephony/registration", true},
		{"gateway", "demarc/cmd/demarc", false},
		{"store/registrar", "demarc/store", true},
	} {
		floor, ok := floorOf(c.name)
		if !ok {
			t.Fatalf("%s has no floor", c.name)
		}
		if fault := breach(c.name, floor, c.imported); (fault == "") != c.fine {
			t.Errorf("%s imports %s: %q", c.name, c.imported, fault)
		}
	}
}

func floorOf(name string) (int, bool) {
	for _, f := range floors {
		if slices.Contains(f.packages, name) {
			return f.floor, true
		}
	}
	for _, f := range floors {
		for _, p := range f.packages {
			if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(name, prefix) {
				return f.floor, true
			}
		}
	}
	return 0, false
}

func local(path string) string { return strings.TrimPrefix(path, module+"/") }

func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-pgo=off", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if local(p.ImportPath) != "cmd/demarc" || len(p.Imports) > 0 {
			all = append(all, p)
		}
	}
}
