-- +goose Up
CREATE TABLE app_install (
    account_id   TEXT   NOT NULL PRIMARY KEY REFERENCES account (account_id),
    installed_at BIGINT NOT NULL,
    installed_by TEXT   NOT NULL
);

CREATE TABLE connector (
    account_id   TEXT   NOT NULL REFERENCES account (account_id),
    connector_id TEXT   NOT NULL,
    name         TEXT   NOT NULL,
    base_url     TEXT   NOT NULL,
    state        TEXT   NOT NULL, -- unlinked, linked, needs_auth
    reason       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT   NOT NULL,
    changed_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, connector_id),
    UNIQUE (account_id, name)
);

-- A link under way. The state parameter and the browser session are kept as hashes, the PKCE verifier is sealed.
CREATE TABLE link_attempt (
    account_id   TEXT   NOT NULL,
    state_hash   TEXT   NOT NULL,
    session_hash TEXT   NOT NULL,
    connector_id TEXT   NOT NULL,
    member_id    TEXT   NOT NULL,
    verifier     BYTEA  NOT NULL,
    expires_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, state_hash),
    FOREIGN KEY (account_id, connector_id) REFERENCES connector (account_id, connector_id)
);

-- One admin's authorisation. Tokens are sealed, and empty once it has ended. lease_until goes by the store's clock.
CREATE TABLE connector_grant (
    account_id    TEXT   NOT NULL,
    grant_id      TEXT   NOT NULL,
    connector_id  TEXT   NOT NULL,
    subject       TEXT   NOT NULL,
    email         TEXT   NOT NULL,
    granted_by    TEXT   NOT NULL,
    granted_at    BIGINT NOT NULL,
    generation    BIGINT NOT NULL,
    access_token  BYTEA  NOT NULL,
    refresh_token BYTEA  NOT NULL,
    scope         TEXT   NOT NULL,
    expires_at    BIGINT NOT NULL,
    due_at        BIGINT NOT NULL, -- the later of refresh_at and retry_at
    refresh_at    BIGINT NOT NULL,
    retry_at      BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    ended_at      BIGINT NOT NULL,
    end_reason    TEXT   NOT NULL,
    lease_epoch   BIGINT NOT NULL,
    lease_until   BIGINT NOT NULL,
    PRIMARY KEY (account_id, grant_id),
    FOREIGN KEY (account_id, connector_id) REFERENCES connector (account_id, connector_id)
);

CREATE INDEX connector_grant_due ON connector_grant (ended_at, due_at);

CREATE TABLE connector_event (
    account_id   TEXT   NOT NULL,
    connector_id TEXT   NOT NULL,
    at           BIGINT NOT NULL,
    event_id     TEXT   NOT NULL,
    actor        TEXT   NOT NULL,
    text         TEXT   NOT NULL,
    PRIMARY KEY (account_id, connector_id, at, event_id),
    FOREIGN KEY (account_id, connector_id) REFERENCES connector (account_id, connector_id)
);
