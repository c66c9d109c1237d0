-- +goose Up
-- Few subscribers have a setting of their own: which ones there are is read with every change of the directory.
CREATE INDEX subscriber_own_srtp ON subscriber (account_id, srtp) WHERE srtp <> '';
