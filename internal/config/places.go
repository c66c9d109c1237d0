package config

import "path/filepath"

// DataFile returns a path in the data directory.
func (c Config) DataFile(name string) string { return filepath.Join(c.DataDir, name) }

// StoreURL returns the store's URL, by default SQLite in the data directory.
func (c Config) StoreURL() string {
	if u := c.Store.URL.Reveal(); u != "" {
		return u
	}
	return "sqlite:" + c.DataFile("demarc.db")
}

// KeysetFile returns where the sealing keyset is.
func (c Config) KeysetFile() string {
	if c.Store.KeysetFile != "" {
		return c.Store.KeysetFile
	}
	return c.DataFile("keyset.json")
}

// OperatorSocket returns the path of the Unix socket over which commands on this machine reach the API.
func (c Config) OperatorSocket() string { return c.DataFile("demarc.sock") }
