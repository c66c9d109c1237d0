-- +goose Up
-- A registration that is known by the device's own report alone, and the last word of the registrar's feed.
ALTER TABLE device ADD COLUMN reported_until BIGINT NOT NULL DEFAULT 0; -- 0: none
ALTER TABLE device ADD COLUMN seen TEXT NOT NULL DEFAULT '';
ALTER TABLE device ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0;

CREATE INDEX device_reported ON device (reported_until, account_id) WHERE reported_until > 0;
