package gateway

import (
	"testing"
	"time"
)

func TestRetryAfterIsRead(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "0": time.Second, "120 (in a meeting)": 2 * time.Minute, "18000;duration=3600": 5 * time.Hour,
		"soon": time.Second, "99999999999": time.Second,
	} {
		if got := retryAfter(value); got != want {
			t.Errorf("%q is read as %s, want %s", value, got, want)
		}
	}
}
