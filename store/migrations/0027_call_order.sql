-- +goose Up
-- A call's id begins with the time, so that the primary key gives the order of calls, and says which are old. Who took part in them
-- is 0028, in parties.go.
DROP INDEX call_newest;
DROP INDEX call_old;
