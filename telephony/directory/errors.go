package directory

import (
	"errors"
	"fmt"
)

// Error says what is wrong at one place of a users file. It never shows the file's text, which holds passwords.
type Error struct {
	File         string
	Line, Column int
	Message      string
}

// Error returns "file:line:column: message".
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// maxErrors is how many mistakes are told at once.
const maxErrors = 20

// faults gathers the mistakes of one file.
type faults struct {
	file string
	list []error
	more int
}

func (f *faults) add(at position, format string, args ...any) {
	if len(f.list) >= maxErrors {
		f.more++
		return
	}
	f.list = append(f.list, &Error{
		File: f.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...),
	})
}

func (f *faults) err() error {
	if f.more > 0 {
		return errors.Join(append(f.list, fmt.Errorf("%s: and %d more mistakes", f.file, f.more))...)
	}
	return errors.Join(f.list...)
}

// position is a place in a file, counted from 1.
type position struct{ line, column int }
