package registrar

import (
	"context"
	"errors"
	"fmt"

	"demarc/internal/account"
	"demarc/internal/seal"
	"demarc/store"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/registrar"
)

// Store implements registrar.Bindings and authentication.Directory, the directory of pbx/core, and the change feed.
type Store struct {
	db     *store.DB
	sealer *seal.Sealer
	heads  heads
}

var (
	_ registrar.Bindings       = (*Store)(nil)
	_ authentication.Directory = (*Store)(nil)
)

// New returns a Store on an open, migrated database.
func New(db *store.DB, sealer *seal.Sealer) *Store { return &Store{db: db, sealer: sealer} }

// Domains returns the account and realm of every SIP domain, and which settings its users have of their own.
func (s *Store) Domains(ctx context.Context) (map[string]authentication.Domain, error) {
	domains := map[string]authentication.Domain{}
	err := s.db.Read(ctx, func(q store.Tx) error {
		rows, err := q.Query(ctx, `SELECT p.domain, p.account_id, p.realm, COALESCE(s.srtp, '') FROM pbx p
			LEFT JOIN (SELECT DISTINCT account_id, srtp FROM subscriber WHERE srtp <> '') s ON s.account_id = p.account_id
			ORDER BY p.domain, s.srtp`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, srtp string
			var d authentication.Domain
			if err := rows.Scan(&name, &d.Account, &d.Realm, &srtp); err != nil {
				return err
			}
			if d.SRTP = domains[name].SRTP; srtp != "" {
				d.SRTP = append(d.SRTP, srtp)
			}
			domains[name] = d
		}
		return rows.Err()
	})
	return domains, away(err)
}

// Subscriber returns who may register as the AoR.
func (s *Store) Subscriber(ctx context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	found := authentication.Subscriber{AoR: aor}
	var userID string
	var sealed []byte
	err := s.db.Read(ctx, func(q store.Tx) error {
		return q.QueryRow(ctx, `SELECT s.account_id, s.user_id, s.auth_username, s.srtp, s.hashes FROM pbx p
			JOIN subscriber s ON s.account_id = p.account_id WHERE p.domain = $1 AND s.extension = $2`,
			aor.Domain, aor.User).Scan(&found.Account, &userID, &found.AuthUsername, &found.SRTP, &sealed)
	})
	if err != nil {
		return authentication.Subscriber{}, lookupError(err)
	}
	found.Hashes, err = s.openHashes(found.Account, userID, sealed)
	return found, err
}

// Version grows with every change of any account's directory.
func (s *Store) Version(ctx context.Context) (int64, error) {
	var version int64
	err := s.db.Read(ctx, func(q store.Tx) error {
		return q.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(version), 0) AS BIGINT) FROM pbx`).Scan(&version)
	})
	return version, away(err)
}

func lookupError(err error) error {
	if store.NoRows(err) {
		return authentication.ErrUnknown
	}
	return away(err)
}

// away tells the registrar in its own words that the store is not available.
func away(err error) error {
	if errors.Is(err, store.ErrUnavailable) {
		return fmt.Errorf("%w: %w", registrar.ErrStoreAway, err)
	}
	return err
}

func hashesPlace(acc account.ID, userID string) seal.AAD {
	return seal.AAD{Account: string(acc), Table: "subscriber", Column: "hashes", Row: userID}
}

func sourcePlace(acc account.ID, userID string) seal.AAD {
	return seal.AAD{Account: string(acc), Table: "subscriber", Column: "source", Row: userID}
}
