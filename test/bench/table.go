package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// table is one comparison as Markdown.
type table struct {
	title, ours, theirs string
	rows                [][]string
}

func newTable(title, ours, theirs string) *table {
	return &table{title: title, ours: ours, theirs: theirs}
}

// compare measures the contestants, ours first, and adds the row.
func (t *table) compare(ctx context.Context, tm timing, name string, contestants ...contestant) error {
	samples, err := compare(ctx, tm, contestants...)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	t.add(name, samples[0], slices.Concat(samples[1:]...))
	return nil
}

// add adds a row; theirs may be empty.
func (t *table) add(name string, ours, theirs []sample) {
	row := []string{name, cost(ours), rate(ours)}
	if len(theirs) == 0 {
		t.rows = append(t.rows, append(row, "–", "–", "–"))
		return
	}
	r := ratio(ours, theirs)
	t.rows = append(t.rows, append(row, cost(theirs), rate(theirs), fmt.Sprintf("%.2f / **%.2f** / %.2f", r.min, r.median, r.max)))
}

// line adds a row of a table without a comparison.
func (t *table) line(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(out io.Writer) {
	if len(t.rows) == 0 {
		return
	}
	header := []string{t.title, t.ours + " µs CPU", t.ours + " /s", t.theirs + " µs CPU", t.theirs + " /s",
		"CPU ratio min / median / max"}
	switch t.theirs {
	case "took":
		header = []string{t.title, "took", "CPU"}
	case "media":
		header = []string{"Media", "demarc", "rtpengine"}
	case "set-up":
		header = []string{"Set-up of a call", "demarc", "Kamailio"}
	case "memory":
		header = []string{"Memory", "demarc", "Kamailio"}
	}
	fmt.Fprintf(out, "\n| %s |\n|%s\n", strings.Join(header, " | "), strings.Repeat("---|", len(header)))
	for _, row := range t.rows {
		fmt.Fprintf(out, "| %s |\n", strings.Join(row, " | "))
	}
}

// cost is the CPU of one operation in µs, the database's apart.
func cost(samples []sample) string {
	server := per(samples, func(s sample) float64 { return micros(s.server) })
	text := number(server)
	if database := per(samples, func(s sample) float64 { return micros(s.database) }); database.max > 0 {
		text += " + " + number(database) + " in PostgreSQL"
	}
	return text
}

func number(s spread) string { return fmt.Sprintf("%.1f (%.1f–%.1f)", s.median, s.min, s.max) }

func rate(samples []sample) string {
	return fmt.Sprintf("%.0f", per(samples, func(s sample) float64 { return s.rate }).median)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// machine prints what the figures were measured on.
func (b *bench) machine() {
	fmt.Fprintf(b.out, "Machine: %s, %d processors, %s. %s; Kamailio: %s; rtpengine: %s. %s.\n", model(), runtime.NumCPU(), kernel(),
		runtime.Version(), kamailioVersion(), rtpengineVersion(), time.Now().UTC().Format("2006-01-02"))
	fmt.Fprintf(b.out, "Windows of %s after %s of load, %d per server, in turn. CPU is user and system time of the server's "+
		"processes per completed operation: median (min–max).\n", b.timing.window, b.timing.warm, b.timing.rounds)
}

func model() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(release))
}
