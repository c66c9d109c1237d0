// Package directory owns the subscribers of a PBX as an operator writes them down: the users file (YAML or CSV), its
// rules, and the shape in which PBX drivers hand subscribers on.
//
// A clear password becomes HA1 the moment it is read and is dropped. The package has no storage and registers nobody.
// No compatibility promise.
package directory
