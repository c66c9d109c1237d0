package directory

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"demarc/cloudlink"
	"demarc/internal/account"
)

const maxFile = 64 << 20

// ReadFile reads a users file. The defaults fill in what the file leaves out of the PBX's description; a CSV file has
// no description at all. Subscribers get their ids in the account. Errors name file, line and column.
func ReadFile(path string, owner account.ID, defaults cloudlink.PBX) (Directory, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Directory{}, fmt.Errorf("users file: %w", err)
	}
	if info.Size() > maxFile {
		return Directory{}, fmt.Errorf("users file %s: larger than %d MB", path, maxFile>>20)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Directory{}, fmt.Errorf("users file: %w", err)
	}
	return Parse(path, text, owner, defaults)
}

// Parse reads the text of a users file: CSV when its name ends in .csv or .tsv, else YAML.
func Parse(name string, text []byte, owner account.ID, defaults cloudlink.PBX) (Directory, error) {
	f := &faults{file: name}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if why := foreign(text); why != "" {
		f.add(position{}, "%s", why)
		return Directory{}, f.err()
	}
	var d Directory
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv", ".tsv":
		d = parseCSV(text, defaults, f)
	default:
		d = parseYAML(text, defaults, f)
	}
	if err := f.err(); err != nil {
		return Directory{}, err
	}
	for i := range d.Subscribers {
		d.Subscribers[i].UserID = UserID(owner, d.Subscribers[i].Extension)
	}
	return d, nil
}

// foreign says why a text is not a users file at all, or nothing.
func foreign(text []byte) string {
	switch {
	case bytes.HasPrefix(text, []byte("PK\x03\x04")):
		return "this is a spreadsheet (XLSX) or archive: save it as CSV UTF-8 first"
	case bytes.HasPrefix(text, []byte("\xff\xfe")), bytes.HasPrefix(text, []byte("\xfe\xff")):
		return "this is UTF-16: save it as CSV UTF-8"
	case !utf8.Valid(text):
		return "this is not UTF-8: save it as UTF-8"
	case bytes.IndexByte(text, 0) >= 0:
		return "this is not a text file"
	}
	return ""
}
