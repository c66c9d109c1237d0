-- +goose Up
-- A member put on the integration. state and changed_at follow from credentials and devices by the ranking in
-- provisioning/state.go; they are written with every change so that lists and counts need no join.
CREATE TABLE integrated_user (
    account_id      TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    member_id       TEXT   NOT NULL,
    email           TEXT   NOT NULL, -- lower case
    name            TEXT   NOT NULL,
    sort_name       TEXT   NOT NULL, -- lower case name, or email without one
    search          TEXT   NOT NULL, -- lower case name, email and extension
    extension       TEXT   NOT NULL,
    given_extension TEXT   NOT NULL,
    added_at        BIGINT NOT NULL,
    cloudlink_user  TEXT   NOT NULL,
    last_sync       BIGINT NOT NULL,
    state           TEXT   NOT NULL,
    changed_at      BIGINT NOT NULL,
    version         BIGINT NOT NULL, -- counted up first by every writer: the row lock of the whole record
    PRIMARY KEY (account_id, user_id),
    UNIQUE (account_id, email),
    FOREIGN KEY (account_id, member_id) REFERENCES member (account_id, member_id)
);

CREATE INDEX integrated_user_by_name ON integrated_user (account_id, sort_name, user_id);

-- Why a user, or one kind of their devices, has no credential.
CREATE TABLE pending_credential (
    account_id TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    kind       TEXT   NOT NULL, -- desktop, mobile, or empty for the whole user
    cause      TEXT   NOT NULL,
    text       TEXT   NOT NULL,
    since      BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id, kind),
    FOREIGN KEY (account_id, user_id) REFERENCES integrated_user (account_id, user_id) ON DELETE CASCADE
);

CREATE TABLE sip_credential (
    account_id       TEXT   NOT NULL,
    user_id          TEXT   NOT NULL,
    kind             TEXT   NOT NULL, -- desktop or mobile
    endpoint_id      TEXT   NOT NULL,
    sip_username     TEXT   NOT NULL,
    auth_username    TEXT   NOT NULL,
    realm            TEXT   NOT NULL,
    domain           TEXT   NOT NULL, -- lower case
    hashes           BYTEA  NOT NULL, -- sealed
    registrars       TEXT   NOT NULL, -- JSON
    srtp             TEXT   NOT NULL,
    register_expires BIGINT NOT NULL, -- seconds
    keepalive        BIGINT NOT NULL, -- seconds
    voicemail_number TEXT   NOT NULL,
    caller_id        TEXT   NOT NULL,
    source_etag      TEXT   NOT NULL,
    etag             TEXT   NOT NULL,
    synced_at        BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id, kind),
    FOREIGN KEY (account_id, user_id) REFERENCES integrated_user (account_id, user_id) ON DELETE CASCADE
);

CREATE INDEX sip_credential_by_aor ON sip_credential (account_id, sip_username, domain);

CREATE TABLE device (
    account_id      TEXT   NOT NULL,
    device_id       TEXT   NOT NULL,
    user_id         TEXT   NOT NULL,
    name            TEXT   NOT NULL,
    kind            TEXT   NOT NULL,
    origin          TEXT   NOT NULL, -- sdk, document or observed
    instance        TEXT   NOT NULL, -- URN of +sip.instance, or the contact's user@host of an observed phone without
    enrolled_at     BIGINT NOT NULL,
    last_seen       BIGINT NOT NULL,
    token_hash      TEXT   NOT NULL, -- empty: has no token
    state           TEXT   NOT NULL,
    sip_code        BIGINT NOT NULL,
    sip_text        TEXT   NOT NULL,
    changed_at      BIGINT NOT NULL,
    last_registered BIGINT NOT NULL,
    user_agent      TEXT   NOT NULL,
    remote          TEXT   NOT NULL,
    transport       TEXT   NOT NULL,
    fetched_etag    TEXT   NOT NULL,
    PRIMARY KEY (account_id, device_id),
    FOREIGN KEY (account_id, user_id) REFERENCES integrated_user (account_id, user_id) ON DELETE CASCADE
);

CREATE INDEX device_by_user ON device (account_id, user_id);
CREATE INDEX device_by_token ON device (token_hash);

-- One-time enrolment codes and document links, as hashes.
CREATE TABLE ticket (
    account_id  TEXT   NOT NULL,
    ticket_hash TEXT   NOT NULL,
    purpose     TEXT   NOT NULL, -- code or document
    user_id     TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    app         TEXT   NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (account_id, ticket_hash),
    UNIQUE (ticket_hash),
    FOREIGN KEY (account_id, user_id) REFERENCES integrated_user (account_id, user_id) ON DELETE CASCADE
);

CREATE INDEX ticket_by_user ON ticket (account_id, user_id);

-- Who may sync an account now. lease_until goes by the store's clock.
CREATE TABLE sync_lease (
    account_id  TEXT   NOT NULL PRIMARY KEY REFERENCES account (account_id),
    run_id      TEXT   NOT NULL,
    lease_epoch BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);

CREATE TABLE sync_run (
    account_id TEXT   NOT NULL REFERENCES account (account_id),
    run_id     TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL, -- 0 while running
    looked     BIGINT NOT NULL, -- also the cursor: whole pages of users were applied so far
    changed    BIGINT NOT NULL,
    pending    BIGINT NOT NULL,
    failed     BIGINT NOT NULL,
    error      TEXT   NOT NULL,
    PRIMARY KEY (account_id, run_id)
);

-- How far the change feed of each registrar node was applied. A node serves all accounts.
CREATE TABLE registration_cursor (
    node TEXT   NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
);
