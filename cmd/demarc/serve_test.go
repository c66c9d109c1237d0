package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"demarc/internal/config"
)

// Durations say their unit, in both formats alike.
func TestLogsSayUnits(t *testing.T) {
	for format, want := range map[string]string{"json": `"took":"1.5s"`, "text": "took=1.5s"} {
		var out bytes.Buffer
		newLogger(&out, config.Log{Level: "info", Format: format}).Info("done", "took", 1500*time.Millisecond)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %s", format, out.String())
		}
	}
}
