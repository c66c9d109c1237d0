package provisioning_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"demarc/internal/account"
	. "demarc/provisioning"
)

// roster is a Store for imports alone: it knows one user and applies nothing.
type roster struct {
	Store
	got Admission
}

func (r *roster) Admit(_ context.Context, acc account.ID, plan func([]IntegratedUser) (Admission, error)) error {
	var err error
	r.got, err = plan([]IntegratedUser{{Account: acc, ID: "usr_1", Email: "old@x.test", Name: "Old", Extension: "1",
		GivenExtension: "1"}})
	return err
}

func importText(text, filename string) (Admission, ImportReport, error) {
	r := &roster{}
	report, err := New(Config{Store: r}).Import(context.Background(), account.Member{Account: "acc"},
		strings.NewReader(text), filename, false)
	return r.got, report, err
}

func TestImportForms(t *testing.T) {
	forms := map[string]string{
		"comma":           "email,name,extension\na@x.test,Ann A,+4930123\n",
		"semicolon, BOM":  "\ufeffE-Mail;Name;Ext.\r\na@x.test;Ann A;+4930123\r\n",
		"tab":             "Email Address\tFull Name\tPhone\na@x.test\tAnn A\t+4930123\n",
		"quoted":          "\"email\",\"name\",\"extension\"\n\"a@x.test\",\"Ann A\",\"+4930123\"\n",
		"names in two":    "Vorname;Nachname;MAIL;Nebenstelle\nAnn;A;A@X.test;+4930123\n",
		"guarded number":  "email,name,number\na@x.test,Ann A,'+4930123\n",
		"more columns":    "email,name,extension,floor\na@x.test,Ann A,+4930123,3\n",
		"short last line": "email,name,extension,note\na@x.test,Ann A,+4930123\n,,\n",
	}
	for name, text := range forms {
		a, report, err := importText(text, "users.csv")
		if err != nil || len(report.Errors) > 0 || len(a.Add) != 1 {
			t.Errorf("%s: %+v %v", name, report, err)
			continue
		}
		if u := a.Add[0]; u.Email != "a@x.test" || u.Name != "Ann A" || u.Extension != "+4930123" {
			t.Errorf("%s: read %+v", name, u)
		}
	}
}

func TestImportUTF16(t *testing.T) {
	text := "\xff\xfe"
	for _, c := range "email\na@x.test\n" {
		text += string(byte(c)) + "\x00"
	}
	if a, report, err := importText(text, "u.txt"); err != nil || len(a.Add) != 1 {
		t.Fatalf("%+v %v", report, err)
	}
}

func TestImportRefusesWholeFiles(t *testing.T) {
	files := []struct{ name, text, file, want string }{
		{"empty", "", "u.csv", "empty"},
		{"no email column", "name,extension\nAnn,1\n", "u.csv", "no column email"},
		{"XLSX by content", "PK\x03\x04rest", "u.csv", "CSV UTF-8"},
		{"XLSX by name", "email\na@x.test\n", "Users.XLSX", "CSV UTF-8"},
		{"XLS", "\xD0\xCF\x11\xE0", "u.csv", "spreadsheet"},
		{"Latin-1", "email,name\na@x.test,J\xfcrgen\n", "u.csv", "UTF-8"},
		{"NUL", "email\na@x.test\x00\n", "u.csv", "UTF-8"},
		{"two email columns", "email,mail\na@x.test,b@x.test\n", "u.csv", "two columns"},
		{"too large", "email\n" + strings.Repeat("x", 9<<20), "u.csv", "larger"},
	}
	for _, f := range files {
		if _, _, err := importText(f.text, f.file); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: %v, want a word about %q", f.name, err, f.want)
		}
	}
}

func TestImportRowErrors(t *testing.T) {
	text := "email,extension\n" + // 1
		"a@x.test,10\n" + // 2
		"\n" + // 3
		"A@x.test,11\n" + // 4: again
		"b@x.test,10\n" + // 5: extension again
		"\"c@x.test\",\"1\"\n" + // 6: extension of old@x.test
		"nobody,\n" + // 7
		"d@x.test,=cmd()|\n" + // 8
		"e@x.test,\"12\n" // 9: open quote
	a, report, err := importText(text, "u.csv")
	if err != nil {
		t.Fatal(err)
	}
	var rows []int
	for _, e := range report.Errors {
		rows = append(rows, e.Row)
		if e.Message == "" {
			t.Errorf("row %d without a message", e.Row)
		}
	}
	if want := []int{4, 5, 6, 7, 8, 9}; len(rows) != len(want) || !equal(rows, want) {
		t.Fatalf("errors in rows %v, want %v: %+v", rows, want, report.Errors)
	}
	if len(a.Add)+len(a.Update) > 0 {
		t.Fatalf("applied in spite of errors: %+v", a)
	}
}

func equal(a, b []int) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// No file makes the import panic, and what it would add is storable.
func FuzzImport(f *testing.F) {
	f.Add("email,name\na@x.test,Ann\n")
	f.Add("\ufeffmail;ext\n\"a@x.test\";\"+1\"\n\"")
	f.Add("\xff\xfee\x00m\x00")
	f.Fuzz(func(t *testing.T, text string) {
		a, report, err := importText(text, "u.csv")
		if (err != nil || len(report.Errors) > 0) && len(a.Add)+len(a.Update) > 0 {
			t.Fatal("a faulty file adds users")
		}
		for _, u := range a.Add {
			if u.Email == "" || strings.ContainsAny(u.Email+u.Name+u.Extension, "\x00\r\n") {
				t.Fatalf("added %+v", u)
			}
		}
	})
}
