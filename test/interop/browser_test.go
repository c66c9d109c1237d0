package interop_test

import (
	"testing"

	"demarc/test/persontest"
)

// admin is the account's owner at work, in the words of these tests.
type admin struct{ *persontest.Person }

func newAdmin(t *testing.T, server string, ca []byte) *admin {
	t.Helper()
	return &admin{persontest.New(t, server, ca)}
}

func (a *admin) open(address string)                           { a.Open(address) }
func (a *admin) press(button string, fields map[string]string) { a.Press(button, fields) }
func (a *admin) call(method, path string, in, out any)         { a.Call(method, path, in, out) }
