-- +goose Up
-- To which of the node's addresses a phone's datagrams come, at a UDP listener that is on all of them; else empty. NULL: written by
-- a release that did not know it.
ALTER TABLE binding ADD COLUMN own_address TEXT;
