package provisioning

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/seal"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/telephony/digest"
)

// parts says how much of a record is loaded.
type parts struct{ secrets, devices bool }

// load returns the records of some users, by user id. Who does not exist is left out.
func (s *Store) load(ctx context.Context, q store.Tx, acc account.ID, ids []rules.UserID, p parts,
) ([]*rules.Record, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	args := idArgs(ids)
	records, err := scanUsers(ctx, q, acc, `AND `+among(len(ids))+` ORDER BY user_id`, args...)
	if err != nil {
		return nil, err
	}
	return records, s.fill(ctx, q, acc, records, p, `AND `+among(len(ids)), args...)
}

// among is a condition on user_id for the ids $2, $3, …. It is a join with a list, because PostgreSQL may otherwise
// filter a whole account by it, id by id, as long as it has no statistics of a young table.
func among(n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = "($" + strconv.Itoa(i+2) + ")"
	}
	return `user_id IN (SELECT column1 FROM (VALUES ` + strings.Join(values, ", ") + `) AS wanted)`
}

func idArgs(ids []rules.UserID) []any {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = string(id)
	}
	return args
}

// fill adds credentials, gaps and devices to records; where narrows the rows to these records' users.
func (s *Store) fill(ctx context.Context, q store.Tx, acc account.ID, records []*rules.Record, p parts, where string,
	args ...any) error {
	byID := make(map[rules.UserID]*rules.Record, len(records))
	for _, r := range records {
		byID[r.User.ID] = r
	}
	credentials, err := s.credentials(ctx, q, acc, func(*rules.Credential) (bool, error) { return p.secrets, nil }, where, args...)
	if err != nil {
		return err
	}
	for _, c := range credentials {
		if r := byID[c.User]; r != nil {
			r.Credentials = append(r.Credentials, c)
		}
	}
	if err := fillGaps(ctx, q, acc, byID, where, args...); err != nil || !p.devices {
		return err
	}
	devices, err := devices(ctx, q, acc, where, args...)
	for _, d := range devices {
		if r := byID[d.User]; r != nil {
			r.Devices = append(r.Devices, d)
		}
	}
	return err
}

// scanUsers reads records without their parts. rest follows WHERE account_id = $1.
func scanUsers(ctx context.Context, q store.Tx, acc account.ID, rest string, args ...any) ([]*rules.Record, error) {
	rows, err := q.Query(ctx, `SELECT user_id, member_id, email, name, extension, given_extension, added_at,
		cloudlink_user, last_sync, state, changed_at FROM integrated_user WHERE account_id = $1 `+rest,
		append([]any{string(acc)}, args...)...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (*rules.Record, error) {
		r := &rules.Record{}
		u := &r.User
		u.Account = acc
		var added, sync, changed int64
		err := rows.Scan(&u.ID, &u.Member, &u.Email, &u.Name, &u.Extension, &u.GivenExtension, &added, &u.CloudLinkUser,
			&sync, &r.State, &changed)
		u.AddedAt, u.LastSync, r.ChangedAt = store.Time(added), store.Time(sync), store.Time(changed)
		return r, err
	})
}

// sealedHash is the form in which hashes are sealed.
type sealedHash struct {
	Algorithm string `json:"algorithm"`
	Realm     string `json:"realm"`
	HA1       string `json:"ha1"`
}

func hashPlace(acc account.ID, user rules.UserID, kind cloudlink.DeviceKind) seal.AAD {
	row := string(user) + "/" + string(kind)
	return seal.AAD{Account: string(acc), Table: "sip_credential", Column: "hashes", Row: row}
}

func (s *Store) sealHashes(c rules.Credential) ([]byte, error) {
	list := make([]sealedHash, len(c.Hashes))
	for i, h := range c.Hashes {
		list[i] = sealedHash{string(h.Algorithm), h.Realm, h.HA1.Reveal()}
	}
	plain, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("seal hashes: %w", err)
	}
	return s.sealer.Seal(hashPlace(c.Account, c.User, c.Kind), account.Secret(plain))
}

func (s *Store) openHashes(c *rules.Credential, sealed []byte) error {
	plain, err := s.sealer.Open(hashPlace(c.Account, c.User, c.Kind), sealed)
	if err != nil {
		return err
	}
	var list []sealedHash
	if err := json.Unmarshal([]byte(plain.Reveal()), &list); err != nil {
		return fmt.Errorf("the sealed hashes of user %s cannot be read: %w", c.User, err)
	}
	for _, h := range list {
		c.Hashes = append(c.Hashes, digest.Hash{
			Algorithm: digest.Algorithm(h.Algorithm), Realm: h.Realm, HA1: account.Secret(h.HA1),
		})
	}
	return nil
}

// credentials reads credentials; the hashes of those that open says.
func (s *Store) credentials(ctx context.Context, q store.Tx, acc account.ID, open func(*rules.Credential) (bool, error),
	where string, args ...any) ([]rules.Credential, error) {
	rows, err := q.Query(ctx, `SELECT user_id, kind, endpoint_id, sip_username, auth_username, realm, domain, hashes,
		registrars, srtp, register_expires, keepalive, voicemail_number, caller_id, source_etag, etag, synced_at
		FROM sip_credential WHERE account_id = $1 `+where+` ORDER BY user_id, kind`,
		append([]any{string(acc)}, args...)...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (rules.Credential, error) {
		c := rules.Credential{Account: acc}
		var hashes []byte
		var registrars string
		var synced int64
		err := rows.Scan(&c.User, &c.Kind, &c.EndpointID, &c.SIPUsername, &c.AuthUsername, &c.Realm, &c.Domain, &hashes,
			&registrars, &c.SRTP, &c.RegisterExpires, &c.Keepalive, &c.VoicemailNumber, &c.CallerID, &c.SourceETag, &c.ETag,
			&synced)
		if err != nil {
			return c, err
		}
		c.SyncedAt = store.Time(synced)
		if err := json.Unmarshal([]byte(registrars), &c.Registrars); err != nil {
			return c, fmt.Errorf("the registrars of user %s cannot be read: %w", c.User, err)
		}
		secrets, err := open(&c)
		if err == nil && secrets {
			err = s.openHashes(&c, hashes)
		}
		return c, err
	})
}

func fillGaps(ctx context.Context, q store.Tx, acc account.ID, byID map[rules.UserID]*rules.Record, where string,
	args ...any) error {
	rows, err := q.Query(ctx, `SELECT user_id, kind, cause, text, since FROM pending_credential
		WHERE account_id = $1 `+where+` ORDER BY user_id, kind`, append([]any{string(acc)}, args...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var user rules.UserID
		var g rules.Gap
		var since int64
		if err := rows.Scan(&user, &g.Kind, &g.Cause, &g.Text, &since); err != nil {
			return err
		}
		g.Since = store.Time(since)
		if r := byID[user]; r != nil {
			r.Gaps = append(r.Gaps, g)
		}
	}
	return rows.Err()
}

func devices(ctx context.Context, q store.Tx, acc account.ID, where string, args ...any) ([]rules.Device, error) {
	rows, err := q.Query(ctx, `SELECT `+deviceColumns+` FROM device WHERE account_id = $1 `+where+`
		ORDER BY enrolled_at, device_id`, append([]any{string(acc)}, args...)...)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(rows *sql.Rows) (rules.Device, error) { return scanDevice(rows) })
}

const deviceColumns = `account_id, device_id, user_id, name, kind, origin, instance, enrolled_at, last_seen, state,
	sip_code, sip_text, changed_at, last_registered, user_agent, remote, transport, fetched_etag,
	reported_until, seen, seen_at, denied_at`

func scanDevice(row interface{ Scan(...any) error }) (rules.Device, error) {
	var d rules.Device
	var enrolled, last, changed, registered, reported, seen, denied int64
	err := row.Scan(&d.Account, &d.ID, &d.User, &d.Name, &d.Kind, &d.Origin, &d.Instance, &enrolled, &last, &d.State,
		&d.SIPCode, &d.SIPText, &changed, &registered, &d.UserAgent, &d.Remote, &d.Transport, &d.FetchedETag,
		&reported, &d.Seen, &seen, &denied)
	d.EnrolledAt, d.LastSeen = store.Time(enrolled), store.Time(last)
	d.ReportedUntil, d.SeenAt = store.Time(reported), store.Time(seen)
	d.DeniedAt = store.Time(denied)
	d.ChangedAt, d.LastRegistered = store.Time(changed), store.Time(registered)
	return d, err
}
