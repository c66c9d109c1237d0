package provisioning

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"demarc/internal/account"
)

const (
	importSize = 8 << 20 // bytes
	importRows = 50_000
	maxErrors  = 100 // more only hide the first ones
)

// row is one data row of an import file. Rows count as a spreadsheet shows them: the header is 1.
type row struct {
	number int
	user   NewUser
}

// errEnough ends a dry run inside the transaction, so that it sees what an import would see and writes nothing.
var errEnough = errors.New("nothing to apply")

// Import reads a CSV file of users. With dryRun nothing is written. An error means that the file as a whole cannot be
// read; faults of rows stand in the report, and then nothing was applied.
func (s *Service) Import(ctx context.Context, actor account.Member, r io.Reader, filename string, dryRun bool,
) (ImportReport, error) {
	rows, warnings, faults, err := readRows(r, filename)
	if err != nil {
		return ImportReport{}, err
	}
	var report ImportReport
	err = s.Store.Admit(ctx, actor.Account, func(existing []IntegratedUser) (Admission, error) {
		var a Admission
		a, report = importPlan(rows, existing, actor, s.Now())
		report.DryRun, report.Warnings = dryRun, warnings
		report.Rows += len(faults)
		report.Errors = append(report.Errors, faults...)
		if dryRun || len(report.Errors) > 0 {
			return Admission{}, errEnough
		}
		return a, nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	sortErrors(report.Errors)
	report.Errors = report.Errors[:min(len(report.Errors), maxErrors)]
	return report, err
}

// readRows reads the file. Faults are rows that are no CSV or have no place for a column.
func readRows(r io.Reader, filename string) (rows []row, warnings, faults []RowError, err error) {
	text, err := readText(r, filename)
	if err != nil {
		return nil, nil, nil, err
	}
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comma = separator(text)
	reader.FieldsPerRecord = -1 // spreadsheets leave trailing empty cells out
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: the file is empty: the first row names the columns (email, name, extension)",
			ErrInvalid)
	}
	columns, warnings, err := readHeader(header)
	if err != nil {
		return nil, nil, nil, err
	}
	inside := lineBreaks(header) // line breaks inside of quoted cells: a spreadsheet does not count them as rows
	for number := 1; ; {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, warnings, faults, nil
		}
		if err == nil {
			line, _ := reader.FieldPos(0) // empty lines are skipped by the reader, but count
			number = line - inside
			inside += lineBreaks(record)
		}
		if err != nil { // after a broken quote the rest cannot be trusted
			return rows, warnings, append(faults, RowError{Row: number + 1, Message: quoteFault(err)}), nil
		}
		if number > importRows+1 {
			return nil, nil, nil, fmt.Errorf("%w: more than %d rows: split the file", ErrInvalid, importRows)
		}
		if user, ok := columns.user(record); ok {
			rows = append(rows, row{number: number, user: user})
		}
	}
}

func lineBreaks(record []string) int { return strings.Count(strings.Join(record, ""), "\n") }

func quoteFault(err error) string {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Sprintf("the quotes do not match (line %d): rows from here on were not read", parse.Line)
	}
	return "the row cannot be read: rows from here on were not read"
}

// readText reads the whole file as UTF-8, with or without a byte order mark (UTF-16 needs one).
func readText(r io.Reader, filename string) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, importSize+1))
	if err != nil {
		return "", fmt.Errorf("the file cannot be read: %w", err)
	}
	if len(raw) > importSize {
		return "", fmt.Errorf("%w: the file is larger than %d MB: split it", ErrInvalid, importSize>>20)
	}
	if spreadsheet(raw, filename) {
		return "", fmt.Errorf("%w: this is a spreadsheet file, not CSV. In Excel choose File, Save As, \"CSV UTF-8 "+
			"(Comma delimited)\"; in LibreOffice File, Save As, \"Text CSV\"; then import the new file", ErrInvalid)
	}
	decoded, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), raw)
	if err != nil || !utf8.Valid(decoded) || bytes.IndexByte(decoded, 0) >= 0 {
		return "", fmt.Errorf("%w: the file is not UTF-8 text. In Excel choose \"CSV UTF-8 (Comma delimited)\" when saving",
			ErrInvalid)
	}
	return string(decoded), nil
}

// spreadsheet recognises ZIP (XLSX, ODS) and OLE (XLS) files by their first bytes, and their names.
func spreadsheet(raw []byte, filename string) bool {
	switch strings.ToLower(filepath.Ext(filename)) {
	case ".xlsx", ".xls", ".xlsm", ".ods":
		return true
	}
	return bytes.HasPrefix(raw, []byte("PK\x03\x04")) || bytes.HasPrefix(raw, []byte("PK\x05\x06")) ||
		bytes.HasPrefix(raw, []byte("\xD0\xCF\x11\xE0"))
}

// separator is the one of comma, semicolon and tab that the header has most of, outside of quotes.
func separator(text string) rune {
	best, most := ',', 0
	for _, c := range []rune{',', ';', '\t'} {
		n, quoted := 0, false
		for _, r := range text {
			if r == '"' {
				quoted = !quoted
			}
			if !quoted && r == '\n' {
				break
			}
			if !quoted && r == c {
				n++
			}
		}
		if n > most {
			best, most = c, n
		}
	}
	return best
}

// columns says where each field stands; -1 for none.
type columns struct{ email, name, first, last, extension int }

func synonyms(header string) string {
	key := strings.NewReplacer(" ", "", "-", "", "_", "", ".", "").Replace(strings.ToLower(strings.TrimSpace(header)))
	switch key {
	case "email", "mail", "emailaddress", "useremail", "emailadresse", "upn", "userprincipalname":
		return "email"
	case "name", "displayname", "fullname":
		return "name"
	case "firstname", "givenname", "vorname":
		return "first"
	case "lastname", "surname", "familyname", "nachname":
		return "last"
	case "extension", "ext", "extensionnumber", "number", "phone", "phonenumber", "nebenstelle", "durchwahl":
		return "extension"
	}
	return ""
}

func readHeader(header []string) (columns, []RowError, error) {
	c := columns{-1, -1, -1, -1, -1}
	places := map[string]*int{"email": &c.email, "name": &c.name, "first": &c.first, "last": &c.last,
		"extension": &c.extension}
	var warnings []RowError
	for i, h := range header {
		place, ok := places[synonyms(h)]
		switch {
		case !ok && strings.TrimSpace(h) != "":
			warnings = append(warnings, RowError{Row: 1, Column: clip(h, 40), Message: "this column is not used"})
		case ok && *place >= 0:
			return c, nil, fmt.Errorf("%w: two columns mean %s: %q and %q", ErrInvalid, synonyms(h),
				clip(header[*place], 40), clip(h, 40))
		case ok:
			*place = i
		}
	}
	if c.email < 0 {
		return c, nil, fmt.Errorf("%w: row 1 has no column email: the first row names the columns (email, name, extension), "+
			"separated by comma, semicolon or tab", ErrInvalid)
	}
	return c, warnings, nil
}

// user reads a record; ok is false for an empty line of cells.
func (c columns) user(record []string) (u NewUser, ok bool) {
	cell := func(i int) string {
		if i < 0 || i >= len(record) {
			return ""
		}
		return strings.TrimSpace(record[i])
	}
	u = NewUser{Email: canonicalEmail(cell(c.email)), Name: cell(c.name), Extension: cell(c.extension)}
	if u.Name == "" {
		u.Name = strings.TrimSpace(cell(c.first) + " " + cell(c.last))
	}
	// Our own export writes ' before + so that a spreadsheet does not compute it.
	u.Extension = strings.TrimPrefix(u.Extension, "'")
	return u, strings.Join(record, "") != ""
}
