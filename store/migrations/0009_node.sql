-- +goose Up
-- Where the nodes of this database reach each other.
CREATE TABLE node (
    node    TEXT   NOT NULL PRIMARY KEY,
    address TEXT   NOT NULL, -- host:port of the internal SIP listener
    seen_at BIGINT NOT NULL
);
