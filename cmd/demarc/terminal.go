package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// terminalWidth returns the columns of out and whether it is a terminal at all.
func terminalWidth(out io.Writer) (int, bool) {
	f, ok := out.(*os.File)
	if !ok {
		return 0, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0, false
	}
	if size.Col == 0 {
		return 80, true
	}
	return int(size.Col), true
}

// plain makes a text from elsewhere fit for one line of a terminal: names and SIP reason phrases are strangers' words,
// and an escape code in them would be obeyed.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
}

// table prints rows in columns. On a terminal the last column is cut to what is left of the line.
type table struct {
	out   io.Writer
	width int // 0: not a terminal, nothing is cut or coloured
	rows  [][]string
	paint func(column int, cell string) (before, after string)
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = plain(cells[i])
	}
	t.rows = append(t.rows, cells)
}

func (t *table) print() error {
	widths := t.widths()
	var b strings.Builder
	for _, row := range t.rows {
		for i, cell := range row {
			last := i == len(row)-1
			if t.width > 0 {
				cell = cut(cell, widths[i])
			}
			before, after := "", ""
			if t.width > 0 && t.paint != nil {
				before, after = t.paint(i, cell)
			}
			b.WriteString(before + cell + after)
			if !last {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(t.out, b.String())
	return err
}

// widths gives each column what it needs; the last takes what is left, and one before it that is very long is cut.
func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	if t.width == 0 || len(widths) == 0 {
		return widths
	}
	left := t.width
	for i := range widths[:len(widths)-1] {
		widths[i] = min(widths[i], max(8, t.width/4))
		left -= widths[i] + 2
	}
	widths[len(widths)-1] = max(left, 10)
	return widths
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// stateColours paints the cells that are states.
func stateColours(_ int, cell string) (before, after string) {
	colours := map[string]string{
		"registered": "\x1b[32m", "sip_error": "\x1b[31m", "pending": "\x1b[33m", "inactive": "\x1b[90m",
	}
	if c, ok := colours[cell]; ok {
		return c, "\x1b[0m"
	}
	return "", ""
}

// clock is how times are written; heads of columns and lines say by which clock, since the texts beside them go by UTC.
const clock = "2006-01-02 15:04:05"

// by names a column of times: WHEN (CET).
func by(name string, now time.Time) string { return name + now.Local().Format(" (MST)") }

// ago tells a time as people say it.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 5*time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}
