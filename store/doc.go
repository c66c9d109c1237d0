// Package store is the storage engine: it opens SQLite or PostgreSQL, migrates, and runs transactions, with one SQL text
// for both. What is stored belongs to the features: store/<feature> implements that feature's interfaces.
//
// A statement writes its parameters as $1, $2, … on both databases. Times are BIGINT milliseconds since 1970 in UTC.
// SQLite has one writer connection (BEGIN IMMEDIATE), a pool of readers, WAL with synchronous=FULL, and a lock file
// against a second process. PostgreSQL has one pgxpool under database/sql.
//
// It owns no business rule. No compatibility promise.
package store
