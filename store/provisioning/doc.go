// Package provisioning keeps integrated users, credentials, devices, one-time tickets, sync runs and the cursors of the
// registrar's change feed, behind the interfaces of the rules package of the same name.
//
// It owns the SQL, the sealing of hashes, and the writing of a record's changes in one transaction; it decides nothing.
// No compatibility promise.
package provisioning
