package connector_test

import (
	"errors"
	"testing"

	"demarc/connector"
)

func TestOrigin(t *testing.T) {
	good := map[string]string{
		"https://Cloud.Example.com":     "https://cloud.example.com",
		"https://cloud.example.com:443": "https://cloud.example.com",
		" https://127.0.0.1:8443/ ":     "https://127.0.0.1:8443",
		"https://[::1]:8443":            "https://[::1]:8443",
	}
	for in, want := range good {
		if got, err := connector.Origin(in); err != nil || got != want {
			t.Errorf("Origin(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "cloud.example.com", "http://cloud.example.com", "https://", "https://a/b",
		"https://a?x=1", "https://u:p@a", "https://a#x", "ftp://a", "https://a b"} {
		if got, err := connector.Origin(in); !errors.Is(err, connector.ErrInvalid) {
			t.Errorf("Origin(%q) = %q, %v, want ErrInvalid", in, got, err)
		}
	}
}
