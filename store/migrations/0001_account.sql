-- +goose Up
CREATE TABLE account (
    account_id TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    domain     TEXT   NOT NULL UNIQUE, -- SIP domain, lower case
    created_at BIGINT NOT NULL
);

CREATE TABLE member (
    account_id TEXT   NOT NULL REFERENCES account (account_id),
    member_id  TEXT   NOT NULL,
    email      TEXT   NOT NULL, -- lower case
    name       TEXT   NOT NULL,
    role       TEXT   NOT NULL, -- owner, admin, support, user
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, member_id),
    UNIQUE (account_id, email)
);

-- What happened to one integrated user. Order is by at, then by seq within one write; entry_id is random.
CREATE TABLE timeline (
    account_id TEXT   NOT NULL REFERENCES account (account_id),
    user_id    TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    entry_id   TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    device_id  TEXT   NOT NULL,
    code       BIGINT NOT NULL,
    text       TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    PRIMARY KEY (account_id, user_id, at, seq, entry_id)
);

-- One row: a known text, sealed by the keyset of this store. A node with another keyset is refused at its start.
CREATE TABLE keyset_check (
    name   TEXT  NOT NULL PRIMARY KEY,
    sealed BYTEA NOT NULL
);
