-- +goose Up
-- The PBX as its users file describes it. version grows with every change of the account's directory.
CREATE TABLE pbx (
    account_id  TEXT   NOT NULL PRIMARY KEY REFERENCES account (account_id),
    domain      TEXT   NOT NULL UNIQUE, -- SIP domain, lower case
    realm       TEXT   NOT NULL,
    description TEXT   NOT NULL, -- JSON
    version     BIGINT NOT NULL
);

CREATE TABLE subscriber (
    account_id    TEXT    NOT NULL REFERENCES account (account_id),
    user_id       TEXT    NOT NULL,
    extension     TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    email         TEXT    NOT NULL, -- lower case
    auth_username TEXT    NOT NULL,
    realm         TEXT    NOT NULL,
    desktop       BOOLEAN NOT NULL, -- has the licence
    mobile        BOOLEAN NOT NULL,
    voicemail     TEXT    NOT NULL,
    caller_id     TEXT    NOT NULL,
    version       TEXT    NOT NULL, -- new with every change of the hashes
    hashes        BYTEA   NOT NULL, -- sealed HA1s
    source        BYTEA   NOT NULL, -- sealed fingerprint of the row in the users file
    PRIMARY KEY (account_id, user_id),
    UNIQUE (account_id, extension)
);

CREATE TABLE binding (
    account_id    TEXT    NOT NULL REFERENCES account (account_id),
    domain        TEXT    NOT NULL,
    username      TEXT    NOT NULL,
    binding_key   TEXT    NOT NULL, -- contact, or instance and reg-id
    node          TEXT    NOT NULL,
    contact       TEXT    NOT NULL,
    instance      TEXT    NOT NULL,
    reg_id        BIGINT  NOT NULL,
    q             BIGINT  NOT NULL, -- thousandths
    call_id       TEXT    NOT NULL,
    cseq          BIGINT  NOT NULL,
    listener      TEXT    NOT NULL,
    transport     TEXT    NOT NULL,
    remote        TEXT    NOT NULL,
    reachable     BOOLEAN NOT NULL,
    user_agent    TEXT    NOT NULL,
    registered_at BIGINT  NOT NULL,
    refreshed_at  BIGINT  NOT NULL,
    expires_at    BIGINT  NOT NULL,
    PRIMARY KEY (account_id, domain, username, binding_key)
);
CREATE INDEX binding_node ON binding (node);

-- How far each node's change feed is numbered.
CREATE TABLE registration_node (
    node TEXT   NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);

-- The change feed: rows of one node are numbered without gaps, in the order of their commits.
CREATE TABLE registration_change (
    node       TEXT   NOT NULL,
    n          BIGINT NOT NULL,
    account_id TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    domain     TEXT   NOT NULL,
    username   TEXT   NOT NULL,
    instance   TEXT   NOT NULL,
    contact    TEXT   NOT NULL,
    user_agent TEXT   NOT NULL,
    transport  TEXT   NOT NULL,
    remote     TEXT   NOT NULL,
    expires_at BIGINT NOT NULL,
    code       BIGINT NOT NULL,
    text       TEXT   NOT NULL,
    PRIMARY KEY (node, n)
);
