-- +goose Up
-- The CloudLink-like service's own state. Its accounts come from its configuration and it shares no table with the rest.
-- Codes, tokens, sessions and tickets are kept as SHA-256 in hex; they are random, so a lookup by hash needs no account.

CREATE TABLE cloudlink_client (
    account_id  TEXT   NOT NULL,
    client_id   TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    secret_hash TEXT   NOT NULL,
    scope       TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT   NOT NULL,
    PRIMARY KEY (account_id, client_id)
);
CREATE UNIQUE INDEX cloudlink_client_id ON cloudlink_client (client_id);

CREATE TABLE cloudlink_session (
    account_id   TEXT   NOT NULL,
    session_hash TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, session_hash)
);
CREATE UNIQUE INDEX cloudlink_session_hash ON cloudlink_session (session_hash);
CREATE INDEX cloudlink_session_expiry ON cloudlink_session (expires_at);

-- One row per consent form shown; sending the form removes it.
CREATE TABLE cloudlink_ticket (
    account_id   TEXT   NOT NULL,
    ticket_hash  TEXT   NOT NULL,
    session_hash TEXT   NOT NULL,
    request_hash TEXT   NOT NULL, -- of what the form showed
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, ticket_hash)
);
CREATE INDEX cloudlink_ticket_expiry ON cloudlink_ticket (expires_at);

-- A grant is one family: all codes and tokens that came of one consent.
CREATE TABLE cloudlink_grant (
    account_id  TEXT   NOT NULL,
    grant_id    TEXT   NOT NULL,
    client_id   TEXT   NOT NULL,
    subject     TEXT   NOT NULL, -- a person, or the client itself
    scope       TEXT   NOT NULL,
    access_ms   BIGINT NOT NULL, -- lifetimes, as the account had them at consent
    refresh_ms  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL, -- 0 while it lives
    end_reason  TEXT   NOT NULL,
    PRIMARY KEY (account_id, grant_id)
);
CREATE INDEX cloudlink_grant_created ON cloudlink_grant (created_at);
CREATE INDEX cloudlink_grant_client ON cloudlink_grant (account_id, client_id);

CREATE TABLE cloudlink_code (
    account_id   TEXT   NOT NULL,
    code_hash    TEXT   NOT NULL,
    grant_id     TEXT   NOT NULL,
    redirect_uri TEXT   NOT NULL,
    challenge    TEXT   NOT NULL,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT NOT NULL, -- 0 until used
    PRIMARY KEY (account_id, code_hash)
);
CREATE UNIQUE INDEX cloudlink_code_hash ON cloudlink_code (code_hash);
CREATE INDEX cloudlink_code_grant ON cloudlink_code (account_id, grant_id);
CREATE INDEX cloudlink_code_expiry ON cloudlink_code (expires_at);

CREATE TABLE cloudlink_refresh (
    account_id TEXT   NOT NULL,
    token_hash TEXT   NOT NULL,
    grant_id   TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL, -- 0 until used
    salt       BYTEA,           -- sealed; with the old token it makes the pair that followed
    PRIMARY KEY (account_id, token_hash)
);
CREATE UNIQUE INDEX cloudlink_refresh_hash ON cloudlink_refresh (token_hash);
CREATE UNIQUE INDEX cloudlink_refresh_generation ON cloudlink_refresh (account_id, grant_id, generation);
CREATE INDEX cloudlink_refresh_expiry ON cloudlink_refresh (expires_at);

CREATE TABLE cloudlink_access (
    account_id TEXT   NOT NULL,
    token_hash TEXT   NOT NULL,
    grant_id   TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    scope      TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, token_hash)
);
CREATE UNIQUE INDEX cloudlink_access_hash ON cloudlink_access (token_hash);
CREATE INDEX cloudlink_access_grant ON cloudlink_access (account_id, grant_id, generation);
CREATE INDEX cloudlink_access_expiry ON cloudlink_access (expires_at);

CREATE TABLE cloudlink_audit (
    account_id  TEXT   NOT NULL,
    audit_id    TEXT   NOT NULL,
    at          BIGINT NOT NULL,
    actor       TEXT   NOT NULL,
    client_id   TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    target      TEXT   NOT NULL,
    correlation TEXT   NOT NULL,
    remote      TEXT   NOT NULL,
    PRIMARY KEY (account_id, audit_id)
);
CREATE INDEX cloudlink_audit_at ON cloudlink_audit (account_id, at);
