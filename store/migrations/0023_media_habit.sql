-- +goose Up
-- How phones protect the media of the calls that they begin.
CREATE TABLE media_habit (
	account_id TEXT   NOT NULL,
	aor        TEXT   NOT NULL, -- user@domain
	device     TEXT   NOT NULL, -- its instance, or else its Contact
	security   TEXT   NOT NULL, -- none, sdes or dtls
	seen_at    BIGINT NOT NULL,
	PRIMARY KEY (account_id, aor, device)
);
CREATE INDEX media_habit_seen ON media_habit (seen_at);
