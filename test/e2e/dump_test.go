package e2e_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the "pgx" driver of database/sql
	_ "modernc.org/sqlite"             // the "sqlite" driver of database/sql
)

// dumpDatabase returns every column of every row of every table, past the store's own code.
func dumpDatabase(t *testing.T, storeURL string) string {
	t.Helper()
	driver, source := "pgx", storeURL
	tables := `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`
	if path, ok := strings.CutPrefix(storeURL, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+path+"?mode=ro"
		tables = `SELECT name FROM sqlite_master WHERE type = 'table'`
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all strings.Builder
	for _, row := range query(t, db, tables) {
		all.WriteString(row + "\n")
		for _, content := range query(t, db, `SELECT * FROM "`+strings.TrimSpace(row)+`"`) {
			all.WriteString(content + "\n")
		}
	}
	return all.String()
}

// query returns each row as text.
func query(t *testing.T, db *sql.DB, statement string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var line strings.Builder
		for _, v := range values {
			if raw, ok := v.([]byte); ok {
				v = string(raw)
			}
			fmt.Fprintf(&line, "%v ", v)
		}
		all = append(all, line.String())
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
