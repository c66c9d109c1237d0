package wire_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"demarc/telephony/wire"
)

// torture returns the messages of RFC 4475 and RFC 5118 by name.
func torture(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/rfc*/*.dat")
	if err != nil || len(files) < 60 {
		tb.Fatalf("%d files, %v", len(files), err)
	}
	messages := make(map[string][]byte, len(files))
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		messages[strings.TrimSuffix(filepath.Base(file), ".dat")] = b
	}
	return messages
}

func seeds(f *testing.F) {
	f.Add([]byte(register))
	f.Add([]byte(register + "\r\n\r\n" + register))
	for _, b := range torture(f) {
		f.Add(b)
	}
}

// refused lists the messages that the scan itself refuses. The others are whole as far as framing, dispatch and
// response building go; what is wrong with them is for whoever reads the header in question.
func refused() map[string]wire.Fault {
	return map[string]wire.Fault{
		"baddn":   wire.Malformed, // the file ends without the empty line
		"badvers": wire.Version, "bigcode": wire.Malformed, "clerr": wire.BadLength,
		"insuf": wire.Missing, "ltgtruri": wire.Malformed, "lwsruri": wire.Malformed, "lwsstart": wire.Malformed,
		"mcl01": wire.Duplicate, "mismatch01": wire.Mismatch, "mismatch02": wire.Mismatch, "multi01": wire.Duplicate,
		"ncl": wire.BadLength, "scalar02": wire.Malformed, "scalarlg": wire.Malformed, "trws": wire.Malformed,
	}
}

func TestTorture(t *testing.T) {
	want := refused()
	for name, raw := range torture(t) {
		var m wire.Message
		err := m.Scan(raw, wire.Limits{})
		if fault, bad := want[name]; !bad {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if e, ok := err.(wire.Error); !ok || e.Fault != fault {
			t.Errorf("%s: %v, want %s", name, err, fault)
		}
	}
}
