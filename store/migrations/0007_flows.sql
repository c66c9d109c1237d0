-- +goose Up
-- How a binding is reached: Path of the proxies in front of the phone (RFC 3327), and its connection's number.
ALTER TABLE binding ADD COLUMN path TEXT NOT NULL DEFAULT '';
ALTER TABLE binding ADD COLUMN flow BIGINT NOT NULL DEFAULT 0;
