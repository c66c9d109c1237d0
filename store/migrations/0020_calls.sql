-- +goose Up
CREATE TABLE call (
	account_id  TEXT    NOT NULL,
	call_id     TEXT    NOT NULL,
	node        TEXT    NOT NULL,
	epoch       BIGINT  NOT NULL,
	state       TEXT    NOT NULL, -- ringing, talking, ended
	caller      TEXT    NOT NULL, -- user@domain
	caller_name TEXT    NOT NULL,
	dialled     TEXT    NOT NULL,
	started_at  BIGINT  NOT NULL,
	answered_at BIGINT  NOT NULL, -- 0: it was not
	ended_at    BIGINT  NOT NULL, -- 0: it lasts
	cause_who   TEXT    NOT NULL,
	cause_code  BIGINT  NOT NULL,
	cause_text  TEXT    NOT NULL,
	legs        TEXT    NOT NULL, -- JSON: they are read and written with their call alone
	held        BYTEA   NOT NULL, -- sealed state of a call that lasts: it holds SRTP keys
	PRIMARY KEY (account_id, call_id)
);
CREATE INDEX call_newest ON call (account_id, started_at, call_id);
CREATE INDEX call_open ON call (node) WHERE state <> 'ended';
CREATE INDEX call_old ON call (ended_at) WHERE state = 'ended';

-- Who took part, to find one user's calls.
CREATE TABLE call_party (
	account_id TEXT   NOT NULL,
	aor        TEXT   NOT NULL, -- user@domain
	started_at BIGINT NOT NULL,
	call_id    TEXT   NOT NULL,
	PRIMARY KEY (account_id, aor, started_at, call_id)
);
