package provisioning

import (
	"context"
	"encoding/json"
	"fmt"

	"demarc/internal/account"
	"demarc/internal/timeline"
	rules "demarc/provisioning"
	"demarc/store"
)

// lock takes the row locks of some records, so that what is read next is not changed by others before it is written.
func lock(ctx context.Context, tx store.Tx, acc account.ID, ids []rules.UserID) error {
	_, err := tx.Exec(ctx, `UPDATE integrated_user SET version = version + 1
		WHERE account_id = $1 AND `+among(len(ids)),
		append([]any{string(acc)}, idArgs(ids)...)...)
	return err
}

// userColumns are the columns of integrated_user that change; the first two are the key.
func userColumns() []string {
	return []string{"account_id", "user_id", "name", "sort_name", "search", "extension", "given_extension",
		"cloudlink_user", "last_sync bigint", "state", "changed_at bigint"}
}

func userValues(r *rules.Record) []any {
	u := r.User
	sortName, search := sortAndSearch(u)
	return []any{string(u.Account), string(u.ID), store.CleanText(u.Name), store.CleanText(sortName),
		store.CleanText(search), store.CleanText(u.Extension), u.GivenExtension, store.CleanText(u.CloudLinkUser),
		store.Millis(u.LastSync), string(r.State), store.Millis(r.ChangedAt)}
}

// write settles records and writes what the rules changed. The records are locked.
func (s *Store) write(ctx context.Context, tx store.Tx, records []*rules.Record) error {
	rows := newBatch(append(userColumns(), "member_id", "email", "added_at bigint", "version bigint")...)
	set := newBatch(userColumns()...).updates(2)
	for _, r := range records {
		r.Settle()
		rows.add(append(userValues(r), string(r.User.Member), r.User.Email, store.Millis(r.User.AddedAt), int64(0))...)
	}
	err := rows.insert(ctx, tx, s.db.Dialect(), "integrated_user", "ON CONFLICT (account_id, user_id) DO UPDATE SET "+set)
	if err != nil {
		return err
	}
	return s.writeParts(ctx, tx, records)
}

// writeParts writes credentials, gaps, devices and timeline entries.
func (s *Store) writeParts(ctx context.Context, tx store.Tx, records []*rules.Record) error {
	var entries []timeline.Entry
	for _, r := range records {
		entries = append(entries, r.Changes().Entries...)
	}
	for _, step := range []func(context.Context, store.Tx, []*rules.Record) error{
		s.dropLost, s.writeCredentials, s.writeGaps, s.writeDevices, s.writeTokens,
	} {
		if err := step(ctx, tx, records); err != nil {
			return err
		}
	}
	return s.writeTimeline(ctx, tx, entries)
}

func (s *Store) dropLost(ctx context.Context, tx store.Tx, records []*rules.Record) error {
	for _, r := range records {
		for _, kind := range r.Changes().Lost {
			if _, err := tx.Exec(ctx, `DELETE FROM sip_credential WHERE account_id = $1 AND user_id = $2 AND kind = $3`,
				string(r.User.Account), string(r.User.ID), string(kind)); err != nil {
				return err
			}
		}
		for _, id := range r.Changes().Dropped {
			if _, err := tx.Exec(ctx, `DELETE FROM device WHERE account_id = $1 AND device_id = $2`,
				string(r.User.Account), string(id)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) writeCredentials(ctx context.Context, tx store.Tx, records []*rules.Record) error {
	rows := newBatch("account_id", "user_id", "kind", "endpoint_id", "sip_username", "auth_username", "realm", "domain",
		"hashes bytea", "registrars", "srtp", "register_expires bigint", "keepalive bigint", "voicemail_number",
		"caller_id", "source_etag", "etag", "synced_at bigint")
	for _, r := range records {
		for _, c := range r.Changes().Credentials {
			if _, kept := r.Credential(c.Kind); !kept {
				continue // arrived and lost in one go
			}
			hashes, err := s.sealHashes(c)
			if err != nil {
				return err
			}
			registrars, err := json.Marshal(c.Registrars)
			if err != nil {
				return fmt.Errorf("registrars: %w", err)
			}
			rows.add(string(c.Account), string(c.User), string(c.Kind), store.CleanText(c.EndpointID),
				store.CleanText(c.SIPUsername), store.CleanText(c.AuthUsername), store.CleanText(c.Realm),
				store.CleanText(c.Domain), hashes, store.CleanText(string(registrars)), store.CleanText(c.SRTP),
				int64(c.RegisterExpires), int64(c.Keepalive), store.CleanText(c.VoicemailNumber),
				store.CleanText(c.CallerID), c.SourceETag, c.ETag, store.Millis(c.SyncedAt))
		}
	}
	return rows.insert(ctx, tx, s.db.Dialect(), "sip_credential",
		"ON CONFLICT (account_id, user_id, kind) DO UPDATE SET "+rows.updates(3))
}

func (s *Store) writeGaps(ctx context.Context, tx store.Tx, records []*rules.Record) error {
	rows := newBatch("account_id", "user_id", "kind", "cause", "text", "since bigint")
	for _, r := range records {
		if !r.Changes().Gaps {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM pending_credential WHERE account_id = $1 AND user_id = $2`,
			string(r.User.Account), string(r.User.ID)); err != nil {
			return err
		}
		for _, g := range r.Gaps {
			rows.add(string(r.User.Account), string(r.User.ID), string(g.Kind), string(g.Cause), store.CleanText(g.Text),
				store.Millis(g.Since))
		}
	}
	return rows.insert(ctx, tx, s.db.Dialect(), "pending_credential", "")
}

func (s *Store) writeDevices(ctx context.Context, tx store.Tx, records []*rules.Record) error {
	// token_hash is left as it is: writeTokens sets it on new devices alone.
	rows := newBatch("account_id", "device_id", "user_id", "name", "kind", "origin", "instance", "enrolled_at bigint",
		"last_seen bigint", "state", "sip_code bigint", "sip_text", "changed_at bigint", "last_registered bigint",
		"user_agent", "remote", "transport", "fetched_etag", "reported_until bigint", "seen", "seen_at bigint",
		"denied_at bigint")
	set := rows.updates(2)
	rows.columns = append(rows.columns, column{"token_hash", "text"})
	for _, r := range records {
		for _, id := range r.Changes().Devices {
			d := r.Device(id)
			if d == nil {
				continue
			}
			rows.add(string(d.Account), string(d.ID), string(d.User), store.CleanText(d.Name), string(d.Kind),
				string(d.Origin), store.CleanText(d.Instance), store.Millis(d.EnrolledAt), store.Millis(d.LastSeen),
				string(d.State), int64(d.SIPCode), store.CleanText(d.SIPText), store.Millis(d.ChangedAt),
				store.Millis(d.LastRegistered), store.CleanText(d.UserAgent), store.CleanText(d.Remote), d.Transport,
				d.FetchedETag, store.Millis(d.ReportedUntil), string(d.Seen), store.Millis(d.SeenAt),
				store.Millis(d.DeniedAt), "")
		}
	}
	return rows.insert(ctx, tx, s.db.Dialect(), "device", "ON CONFLICT (account_id, device_id) DO UPDATE SET "+set)
}

func (s *Store) writeTokens(ctx context.Context, tx store.Tx, records []*rules.Record) error {
	for _, r := range records {
		for id, hash := range r.Changes().Tokens {
			if _, err := tx.Exec(ctx, `UPDATE device SET token_hash = $3 WHERE account_id = $1 AND device_id = $2`,
				string(r.User.Account), string(id), hash); err != nil {
				return err
			}
		}
	}
	return nil
}
