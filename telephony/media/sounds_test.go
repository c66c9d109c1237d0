package media_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"demarc/telephony/media"
)

func TestSoundsThatAreNotThereEndTheStart(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "busy.wav"), []byte("not a sound"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(folder, "missing")
	for _, c := range []struct {
		config media.Config
		want   string
	}{
		{media.Config{Announcements: missing}, "telephony.media.announcements: open " + missing},
		{media.Config{Announcements: folder}, "telephony.media.announcements: " + filepath.Join(folder, "busy.wav") + ": not a WAV file"},
		{media.Config{Music: missing}, "telephony.media.music: stat " + missing},
	} {
		c.config.Ports = media.PortRange{First: 20000, Last: 20003}
		if _, err := media.New(c.config); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
	}
}
