-- +goose Up
-- The service's account that the link is with; empty while it is not linked.
ALTER TABLE connector ADD COLUMN remote_account TEXT NOT NULL DEFAULT '';
