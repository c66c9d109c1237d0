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
		found, err := filepath.Glob(filepath.Join(c.Announcements, "*.wav"))
		if err != nil {
			return nil, fmt.Errorf("telephony.media.announcements: %w", err)
		}
		for _, path := range found {
			files[strings.TrimSuffix(filepath.Base(path), ".wav")] = path
		}
	}
	if c.Music != "" {
		files["music"] = c.Music
	}
	for name, path := range files {
		samples, err := readSound(path)
		if err != nil {
			return nil, err
		}
		sounds[name] = samples
	}
	return sounds, nil
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
		return nil, fmt.Errorf("sound: %w", err)
	}
	if stat.Size() > maxSound {
		return nil, fmt.Errorf("sound %s: %d bytes are more than the %d that are loaded", path, stat.Size(), maxSound)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	samples, err := audio.ReadWAV(file)
	if err != nil {
		return nil, fmt.Errorf("sound %s: %w", path, err)
	}
	if len(samples) < audio.Frame {
		return nil, fmt.Errorf("sound %s: shorter than 20 ms", path)
	}
	return samples, nil
}
