package qrcode

import (
	"encoding/base64"
	"fmt"
	"strings"

	"rsc.io/qr"

	"demarc/internal/account"
)

// quiet is the margin in modules that scanners need (ISO/IEC 18004 §5.3.8).
const quiet = 4

// DataURL returns the link's picture as a data: URL of a PNG. It is as secret as the link.
func DataURL(link account.Secret) (string, error) {
	c, err := encode(link)
	if err != nil {
		return "", err
	}
	c.Scale = 6
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(c.PNG()), nil
}

// Terminal returns the link's picture for a terminal, two modules per character cell, and how many columns it takes.
// Light modules are drawn, so that it scans on a dark background; the escape codes set both colours, so that it scans
// on a light one too.
func Terminal(link account.Secret) (picture string, columns int, err error) {
	c, err := encode(link)
	if err != nil {
		return "", 0, err
	}
	var b strings.Builder
	for y := -quiet; y < c.Size+quiet; y += 2 {
		b.WriteString("\x1b[97;40m")
		for x := -quiet; x < c.Size+quiet; x++ {
			b.WriteString(cell(c.Black(x, y), c.Black(x, y+1)))
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String(), c.Size + 2*quiet, nil
}

// encode uses the weakest error correction: the link is long and is shown on a screen, where nothing gets dirty.
func encode(link account.Secret) (*qr.Code, error) {
	c, err := qr.Encode(link.Reveal(), qr.L)
	if err != nil {
		return nil, fmt.Errorf("the link does not fit a QR code: %w", err)
	}
	return c, nil
}

func cell(upperBlack, lowerBlack bool) string {
	switch {
	case upperBlack && lowerBlack:
		return " "
	case upperBlack:
		return "▄"
	case lowerBlack:
		return "▀"
	}
	return "█"
}
