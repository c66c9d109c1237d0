-- +goose Up
-- Whether media of the subscriber's phones is encrypted: required, preferred or off; empty: as for all.
ALTER TABLE subscriber ADD COLUMN srtp TEXT NOT NULL DEFAULT '';
