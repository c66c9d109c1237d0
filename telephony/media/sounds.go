package media

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"demarc/telephony/audio"
)

// maxSound bounds what WAV files may take, in bytes each: half an hour.
const maxSound = 2 * 16000 * 1800

// loadSounds reads the music and the announcements: every NAME.wav of the folder. What no file gives, is generated; the music when it is
// heard for the first time.
func (c Config) loadSounds() (map[string][]int16, error) {
	sounds := map[string][]int16{}
	for _, name := range []string{"dial", "ringing", "busy", "congestion", "beep"} {
		sounds[name], _ = audio.Tone(name)
	}
	files := map[string]string{}
	if c.Announcements != "" {
		found, err := os.ReadDir(c.Announcements)
		if err != nil {
			return nil, fmt.Errorf("telephony.media.announcements: %w", err)
		}
		for _, file := range found {
			if name, ok := strings.CutSuffix(file.Name(), ".wav"); ok {
				files[name] = filepath.Join(c.Announcements, file.Name())
			}
		}
	}
	if c.Music != "" {
		files["music"] = c.Music
	}
	for name, path := range files {
		samples, err := readSound(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.keyOf(name), err)
		}
		sounds[name] = samples
	}
	return sounds, nil
}

// keyOf is the setting that a sound's file comes from.
func (c Config) keyOf(name string) string {
	if name == "music" && c.Music != "" {
		return "telephony.media.music"
	}
	return "telephony.media.announcements"
}

// sound returns a sound by its name.
func (m *Media) sound(name string) ([]int16, bool) {
	if samples, ok := m.sounds[name]; ok || name != "music" {
		return samples, ok
	}
	m.sounds[name] = audio.Music()
	return m.sounds[name], true
}

func readSound(path string) ([]int16, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if stat.Size() > maxSound {
		return nil, fmt.Errorf("%s: %d bytes are more than the %d that are loaded", path, stat.Size(), maxSound)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	samples, err := audio.ReadWAV(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(samples) < audio.Frame {
		return nil, fmt.Errorf("%s: shorter than 20 ms", path)
	}
	return samples, nil
}
