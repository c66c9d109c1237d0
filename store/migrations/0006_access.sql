-- +goose Up

-- One-time links that sign a member in. The token stands here as its SHA-256 alone.
CREATE TABLE sign_in_link (
    account_id TEXT   NOT NULL,
    token_hash TEXT   NOT NULL UNIQUE,
    member_id  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL, -- 0 while it is good
    PRIMARY KEY (account_id, token_hash),
    FOREIGN KEY (account_id, member_id) REFERENCES member (account_id, member_id) ON DELETE CASCADE
);

-- Browsers that a member is signed in with. The cookie's value stands here as its SHA-256 alone.
CREATE TABLE web_session (
    account_id TEXT   NOT NULL,
    session_id TEXT   NOT NULL,
    token_hash TEXT   NOT NULL UNIQUE,
    member_id  TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, session_id),
    FOREIGN KEY (account_id, member_id) REFERENCES member (account_id, member_id) ON DELETE CASCADE
);

CREATE INDEX web_session_member ON web_session (account_id, member_id);
