package softphone

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Kind says which of a user's two lines a device uses; it decides the route to the PBX.
type Kind string

// The kinds of devices.
const (
	Desktop Kind = "desktop" // outside by the SBC, on site by the PBX itself
	Mobile  Kind = "mobile"  // always by the SBC
)

// Profile is an enrolled device: everything that outlives the program. It holds a bearer token, so it must be stored
// as carefully as a password; Save does. The SIP credential is not part of it: it is fetched at every start.
type Profile struct {
	Server    string // HTTPS address of the client API, https://host:port
	CA        []byte // PEM; the only authorities trusted for Server. Empty: the system's
	DeviceID  string
	Token     Secret // bearer token of this device alone
	Instance  string // URN sent as +sip.instance (RFC 5626 §4.1)
	Kind      Kind
	User      string // the user's name, for display
	Extension string
}

// profileFile is the stored form. It stands apart from Profile because Secret never encodes its value.
type profileFile struct {
	Version   int    `json:"version"`
	Server    string `json:"server"`
	CA        string `json:"ca,omitempty"`
	DeviceID  string `json:"deviceId"`
	Token     string `json:"token"`
	Instance  string `json:"instance"`
	Kind      Kind   `json:"kind"`
	User      string `json:"user,omitempty"`
	Extension string `json:"extension,omitempty"`
}

const profileVersion = 1

// LoadProfile reads a profile that Save wrote. A file that others may read is refused. The error of a missing file is
// fs.ErrNotExist.
func LoadProfile(path string) (*Profile, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no profile at %s: enrol this device first: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("profile %s holds a token and others may read it: chmod 600 %[1]s", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	var f profileFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("profile %s is damaged, enrol this device again: %w", path, err)
	}
	if f.Version != profileVersion {
		return nil, fmt.Errorf("profile %s has version %d, this program reads %d", path, f.Version, profileVersion)
	}
	p := &Profile{
		Server: f.Server, CA: []byte(f.CA), DeviceID: f.DeviceID, Token: Secret(f.Token),
		Instance: f.Instance, Kind: f.Kind, User: f.User, Extension: f.Extension,
	}
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("profile %s: %w", path, err)
	}
	return p, nil
}

// Save writes the profile with mode 0600, whole or not at all: a crash leaves the old file or the new one.
func (p *Profile) Save(path string) error {
	if err := p.validate(); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(profileFile{
		Version: profileVersion, Server: p.Server, CA: string(p.CA), DeviceID: p.DeviceID, Token: p.Token.Reveal(),
		Instance: p.Instance, Kind: p.Kind, User: p.User, Extension: p.Extension,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("save profile: %w", err)
	}
	if err := replaceFile(path, append(raw, '\n')); err != nil {
		return fmt.Errorf("save profile: %w", err)
	}
	return nil
}

// replaceFile writes a private file beside path, makes it durable and renames it over path.
func replaceFile(path string, content []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".profile-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

func (p *Profile) validate() error {
	switch {
	case p.Server == "" || p.DeviceID == "" || p.Token == "":
		return errors.New("profile is incomplete: server, device id and token are needed; enrol this device again")
	case p.Kind != Desktop && p.Kind != Mobile:
		return fmt.Errorf("profile has the unknown device kind %q", p.Kind)
	case p.Instance == "":
		return errors.New("profile has no instance: enrol this device again")
	}
	_, err := serverURL(p.Server)
	return err
}
