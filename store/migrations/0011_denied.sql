-- +goose Up
-- When the device itself last said that it is not registered; 0 once it said that it is.
ALTER TABLE device ADD COLUMN denied_at BIGINT NOT NULL DEFAULT 0;
