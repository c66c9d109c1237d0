-- +goose Up
-- By which a refresh finds its row: random, and another one whenever the binding comes anew. NULL: written by a release that
-- did not know it.
ALTER TABLE binding ADD COLUMN row_id BIGINT;
CREATE UNIQUE INDEX binding_row ON binding (row_id);
DROP INDEX binding_node; -- it served the start of a node alone, which reads most of the table anyway
