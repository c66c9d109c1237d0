-- +goose Up
-- A call's id begins with the time, so that the primary key gives the order of calls, and says which are old.
DROP INDEX call_newest;
DROP INDEX call_old;
ALTER TABLE call_party RENAME TO call_party_before;
CREATE TABLE call_party (
	account_id TEXT NOT NULL,
	aor        TEXT NOT NULL, -- user@domain
	call_id    TEXT NOT NULL,
	PRIMARY KEY (account_id, aor, call_id)
);
INSERT INTO call_party SELECT account_id, aor, call_id FROM call_party_before;
DROP TABLE call_party_before;
