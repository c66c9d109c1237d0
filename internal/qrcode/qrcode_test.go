package qrcode_test

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"strings"
	"testing"

	"demarc/internal/account"
	"demarc/internal/qrcode"
)

const link = account.Secret("demarc://demarc.example.com:8443/enrol?code=ABCD-EFGH-JKMN")

func TestDataURLIsAPicture(t *testing.T) {
	url, err := qrcode.DataURL(link)
	if err != nil {
		t.Fatal(err)
	}
	encoded, ok := strings.CutPrefix(url, "data:image/png;base64,")
	if !ok {
		t.Fatalf("not a PNG: %.40s", url)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != b.Dy() || b.Dx() < 100 {
		t.Errorf("odd size %v", b)
	}
}

func TestTerminalIsSquareWithAQuietZone(t *testing.T) {
	out, columns, err := qrcode.Terminal(link)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	width := 0
	for i, line := range lines {
		line = strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[97;40m"), "\x1b[0m")
		n := len([]rune(line))
		if width == 0 {
			width = n
		}
		if n != width {
			t.Fatalf("line %d has %d cells, the first has %d", i, n, width)
		}
		if !strings.HasPrefix(line, "████") || !strings.HasSuffix(line, "████") {
			t.Fatalf("line %d has no quiet zone: %q", i, line)
		}
	}
	if width != columns {
		t.Errorf("%d columns told, %d drawn", columns, width)
	}
	if got := len(lines); got != (width+1)/2 {
		t.Errorf("%d lines for %d cells", got, width)
	}
}

func TestALinkThatCannotFit(t *testing.T) {
	if _, err := qrcode.DataURL(account.Secret(strings.Repeat("x", 4000))); err == nil {
		t.Error("4,000 bytes fitted a QR code")
	}
}
