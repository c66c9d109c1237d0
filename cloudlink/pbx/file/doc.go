// Package file is the PBX driver of a users file (YAML or CSV): for a PBX whose users somebody writes down, and for
// trying things out. The file is read again when it changes; a file with mistakes is logged and the last good one
// stays.
//
// It can only be read: credentials change on the PBX and in the file. No compatibility promise.
package file
