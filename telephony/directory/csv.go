package directory

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"

	"demarc/cloudlink"
	"demarc/internal/account"
)

// csvColumns are the columns of a CSV file, by the name in its first line; any order, only extension is always needed.
func csvColumns(r *row) map[string]func(string) {
	text := func(to *string) func(string) { return func(s string) { *to = s } }
	secret := func(to *account.Secret) func(string) { return func(s string) { *to = account.Secret(s) } }
	return map[string]func(string){
		"extension": text(&r.Extension), "name": text(&r.Name), "email": text(&r.Email),
		"auth_username": text(&r.AuthUsername), "realm": text(&r.Realm), "password": secret(&r.Password),
		"ha1": secret(&r.HA1), "algorithm": text(&r.Algorithm), "voicemail": text(&r.Voicemail),
		"caller_id": text(&r.CallerID), "srtp": text(&r.SRTP),
		"licences": func(s string) {
			names := strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(" ,;+/|", c) })
			r.Licences = &names
		},
	}
}

func parseCSV(text []byte, defaults cloudlink.PBX, f *faults) Directory {
	top := func(string) position { return position{} }
	d := Directory{PBX: buildPBX(pbxRow{}, top, defaults, f)}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comma = delimiter(text)
	reader.FieldsPerRecord = 0 // every line as long as the first
	names, err := reader.Read()
	if err != nil {
		f.add(position{1, 1}, "the first line must name the columns: extension, name, email, password …")
		return Directory{}
	}
	columns := readHeader(reader, names, f)
	b := newBuilder(f, d.PBX)
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f.csv(err)
			if errors.Is(err, csv.ErrFieldCount) {
				continue
			}
			break // after a bad quote nothing says where the next line begins
		}
		b.addRecord(reader, columns, record)
	}
	d.Subscribers = b.built
	return d
}

func readHeader(reader *csv.Reader, names []string, f *faults) []string {
	known := csvColumns(&row{})
	columns := make([]string, len(names))
	seen := make(map[string]bool)
	for i, name := range names {
		column := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), " ", "_")
		line, at := reader.FieldPos(i)
		if known[column] == nil {
			f.add(position{line, at}, "unknown column %q", name)
		}
		if seen[column] {
			f.add(position{line, at}, "column %q stands twice", name)
		}
		seen[column] = true
		columns[i] = column
	}
	if !seen["extension"] {
		f.add(position{1, 1}, "there is no column extension")
	}
	return columns
}

func (b *builder) addRecord(reader *csv.Reader, columns, record []string) {
	var r row
	set := csvColumns(&r)
	places := make(map[string]position, len(columns))
	for i, column := range columns {
		line, at := reader.FieldPos(i)
		places[column] = position{line, at}
		if put := set[column]; put != nil {
			put(cell(column, record[i]))
		}
	}
	line, at := reader.FieldPos(0)
	r.at = func(field string) position {
		if p, ok := places[field]; ok {
			return p
		}
		return position{line, at}
	}
	b.add(r)
}

// cell takes away what spreadsheets and safe exports add. A password stays as it is written.
func cell(column, s string) string {
	if column == "password" {
		return s
	}
	s = strings.TrimSpace(s)
	if len(s) > 1 && s[0] == '\'' && strings.IndexByte("=+-@", s[1]) >= 0 {
		return s[1:] // an apostrophe against formulas
	}
	return s
}

// csv adds a mistake that the CSV reader found.
func (f *faults) csv(err error) {
	var e *csv.ParseError
	if errors.As(err, &e) {
		f.add(position{e.Line, e.Column}, "%v", e.Err)
		return
	}
	f.add(position{}, "the CSV cannot be read")
}

// delimiter returns what stands most in the first line outside of quotes: comma, semicolon or tab.
func delimiter(text []byte) rune {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	counts := map[byte]int{}
	quoted := false
	for _, c := range line {
		if c == '"' {
			quoted = !quoted
		}
		if !quoted {
			counts[c]++
		}
	}
	best := byte(',')
	for _, c := range []byte{';', '\t'} {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return rune(best)
}
