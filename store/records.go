package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/pressly/goose/v3"
)

// records is the migration that gives a call few columns: those by which it is found, fenced and forgotten, who called and who was
// called among them, and all that is only read in one text. Each value of a row costs, and so does each tree that takes it at a
// place of chance. What it moves stays in call_party, which is asked too. It is one transaction, so that a start that is interrupted has
// changed nothing; who waits for it is told why.
func records(dialect Dialect, log *slog.Logger) *goose.Migration {
	object, legs := "json_object", "json(legs)"
	if dialect == PostgreSQL {
		object, legs = "json_build_object", "legs::json"
	}
	steps := []string{
		`DROP INDEX call_open`,
		`ALTER TABLE call RENAME TO call_before`,
		`CREATE TABLE call (
			account_id TEXT   NOT NULL,
			call_id    TEXT   NOT NULL,
			node       TEXT   NOT NULL,
			epoch      BIGINT NOT NULL,
			state      TEXT   NOT NULL, -- ringing, talking, ended
			begun      BIGINT NOT NULL, -- as the id says: ms since 1970
			ended_at   BIGINT NOT NULL, -- 0: it lasts
			caller_key BIGINT NOT NULL, -- of account and AoR; 0: nobody of ours, or see call_party
			called_key BIGINT NOT NULL, -- of the first other one
			record     TEXT   NOT NULL, -- JSON: it is read with its call alone
			held       BYTEA  NOT NULL, -- sealed state of a call that lasts: it holds SRTP keys
			PRIMARY KEY (account_id, call_id)
		)`,
		// Before the rows come, of which hardly any is in them: each would read the whole table once more.
		`CREATE INDEX call_open ON call (node) WHERE state <> 'ended'`,
		`CREATE INDEX call_caller ON call (caller_key, begun) WHERE caller_key <> 0`,
		`CREATE INDEX call_called ON call (called_key, begun) WHERE called_key <> 0`,
		`INSERT INTO call SELECT account_id, call_id, node, epoch, state, started_at, ended_at, 0, 0,
			CAST(` + object + `('caller', caller, 'caller_name', caller_name, 'dialled', dialled, 'started_at', started_at,
				'answered_at', answered_at, 'cause_who', cause_who, 'cause_code', cause_code, 'cause_text', cause_text,
				'legs', ` + legs + `) AS TEXT), held FROM call_before`,
		`DROP TABLE call_before`,
	}
	return goose.NewGoMigration(29, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		var calls bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM call)`).Scan(&calls); err != nil {
			return fmt.Errorf("call: %w", err)
		}
		if calls {
			log.InfoContext(ctx, "the history of calls is being copied into its new form: a million of them take a minute or two")
		}
		for _, step := range steps {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return fmt.Errorf("call: %w", err)
			}
		}
		return nil
	}}, nil)
}
