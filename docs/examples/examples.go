// Package examples holds the example files, so that demarc demo runs from the binary alone. No compatibility promise.
package examples

import _ "embed"

// Users is users.yaml: the users of a fictional PBX.
//
//go:embed users.yaml
var Users []byte

// People is people.csv: the same people as an admin would import them.
//
//go:embed people.csv
var People []byte
