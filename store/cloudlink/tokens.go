package cloudlink

import (
	"context"
	"errors"
	"time"

	"demarc/cloudlink/oauth"
	"demarc/internal/seal"
	"demarc/store"
)

// Redeem uses a code. The one conditional UPDATE decides who of several wins.
func (s *Store) Redeem(ctx context.Context, u oauth.CodeUse) (oauth.Issued, oauth.Verdict, error) {
	if store.CheckText(u.RedirectURI) != nil {
		return oauth.Issued{}, oauth.Unknown, nil
	}
	var issued oauth.Issued
	var verdict oauth.Verdict
	err := s.db.Write(ctx, func(tx store.Tx) (err error) {
		issued, verdict, err = redeem(ctx, tx, u)
		return err
	})
	return issued, verdict, err
}

func redeem(ctx context.Context, tx store.Tx, u oauth.CodeUse) (oauth.Issued, oauth.Verdict, error) {
	g, err := scanGrant(tx.QueryRow(ctx, `SELECT `+grantColumns+` FROM cloudlink_code c
		JOIN cloudlink_grant g ON g.account_id = c.account_id AND g.grant_id = c.grant_id
		WHERE c.code_hash = $1`, u.CodeHash).Scan)
	if v, done := settled(g, u.Client, err); done {
		return g.issued(nil, time.Time{}), v, unlessMissing(err)
	}
	used, err := tx.Exec(ctx, `UPDATE cloudlink_code SET used_at = $3 WHERE account_id = $1 AND code_hash = $2
		AND used_at = 0 AND expires_at > $3 AND redirect_uri = $4 AND challenge = $5`,
		g.account, u.CodeHash, store.Millis(u.At), u.RedirectURI, u.Challenge)
	if err != nil {
		return oauth.Issued{}, oauth.Unknown, err
	}
	if used == 0 {
		return codeRefused(ctx, tx, g, u)
	}
	expires := u.At.Add(g.access)
	return g.issued(g.scope, expires), oauth.Accepted, insertPair(ctx, tx, g, pair{
		access: u.AccessHash, refresh: u.RefreshHash, generation: 1, scope: g.scope, expires: expires, at: u.At,
	})
}

// codeRefused tells a second use, which ends the grant (RFC 6749 §4.1.2), from a wrong or late one, which does not.
func codeRefused(ctx context.Context, tx store.Tx, g grant, u oauth.CodeUse) (oauth.Issued, oauth.Verdict, error) {
	var usedAt int64
	err := tx.QueryRow(ctx, `SELECT used_at FROM cloudlink_code WHERE account_id = $1 AND code_hash = $2`,
		g.account, u.CodeHash).Scan(&usedAt)
	if err != nil || usedAt == 0 {
		return g.issued(nil, time.Time{}), oauth.Unknown, err
	}
	_, err = endGrant(ctx, tx, g.account, g.id, u.At, "authorization code used twice")
	return g.issued(nil, time.Time{}), oauth.Reused, err
}

// Rotate uses a refresh token. The one conditional UPDATE decides who of several makes the pair.
func (s *Store) Rotate(ctx context.Context, r oauth.Rotation) (oauth.Issued, oauth.Verdict, error) {
	var issued oauth.Issued
	var verdict oauth.Verdict
	err := s.db.Write(ctx, func(tx store.Tx) (err error) {
		issued, verdict, err = s.rotate(ctx, tx, r)
		return err
	})
	return issued, verdict, err
}

func (s *Store) rotate(ctx context.Context, tx store.Tx, r oauth.Rotation) (oauth.Issued, oauth.Verdict, error) {
	var generation, expiresAt int64
	g, err := scanGrant(tx.QueryRow(ctx, `SELECT `+grantColumns+`, r.generation, r.expires_at FROM cloudlink_refresh r
		JOIN cloudlink_grant g ON g.account_id = r.account_id AND g.grant_id = r.grant_id
		WHERE r.token_hash = $1`, r.TokenHash).Scan, &generation, &expiresAt)
	if v, done := settled(g, r.Client, err); done {
		return g.issued(nil, time.Time{}), v, unlessMissing(err)
	}
	scope := r.Scope
	if len(scope) == 0 {
		scope = g.scope
	}
	switch {
	case expiresAt <= store.Millis(r.At):
		return oauth.Issued{}, oauth.Unknown, nil
	case !scope.Within(g.scope):
		return oauth.Issued{}, oauth.TooWide, nil
	}
	sealed, err := s.sealer.Seal(saltAAD(g.account, r.TokenHash), r.Salt)
	if err != nil {
		return oauth.Issued{}, oauth.Unknown, err
	}
	used, err := tx.Exec(ctx, `UPDATE cloudlink_refresh SET rotated_at = $3, salt = $4
		WHERE account_id = $1 AND token_hash = $2 AND rotated_at = 0`, g.account, r.TokenHash, store.Millis(r.At), sealed)
	if err != nil {
		return oauth.Issued{}, oauth.Unknown, err
	}
	if used == 0 {
		return s.usedBefore(ctx, tx, g, r, generation)
	}
	expires := r.At.Add(g.access)
	return g.issued(scope, expires), oauth.Accepted, insertPair(ctx, tx, g, pair{
		access: r.AccessHash, refresh: r.RefreshHash, generation: generation + 1, scope: scope, expires: expires, at: r.At,
	})
}

// usedBefore tells a lost answer from a theft: within the window, and as long as nobody used the refresh token that
// came of it, the same pair may be made again. Everything else ends the grant.
func (s *Store) usedBefore(ctx context.Context, tx store.Tx, g grant, r oauth.Rotation, generation int64) (
	oauth.Issued, oauth.Verdict, error) {
	var sealed []byte
	var scope string
	var expires int64
	err := tx.QueryRow(ctx, `SELECT r.salt, a.scope, a.expires_at FROM cloudlink_refresh r
		JOIN cloudlink_refresh n ON n.account_id = r.account_id AND n.grant_id = r.grant_id
			AND n.generation = r.generation + 1
		JOIN cloudlink_access a ON a.account_id = n.account_id AND a.grant_id = n.grant_id AND a.generation = n.generation
		WHERE r.account_id = $1 AND r.token_hash = $2 AND r.rotated_at > $3 AND n.rotated_at = 0 AND r.generation = $4`,
		g.account, r.TokenHash, store.Millis(r.At.Add(-oauth.ReplayWindow)), generation).Scan(&sealed, &scope, &expires)
	if errors.Is(missing(err), oauth.ErrNotFound) {
		_, err = endGrant(ctx, tx, g.account, g.id, r.At, "refresh token used twice")
		return g.issued(nil, time.Time{}), oauth.Reused, err
	}
	if err != nil {
		return oauth.Issued{}, oauth.Unknown, err
	}
	issued := g.issued(oauth.ParseScope(scope), store.Time(expires))
	issued.Salt, err = s.sealer.Open(saltAAD(g.account, r.TokenHash), sealed)
	return issued, oauth.Replayed, err
}

// Revoke ends the grant of a refresh token, or an access token alone.
func (s *Store) Revoke(ctx context.Context, tokenHash, client string, at time.Time) (oauth.Verdict, error) {
	var verdict oauth.Verdict
	err := s.db.Write(ctx, func(tx store.Tx) (err error) {
		verdict, err = revoke(ctx, tx, tokenHash, client, at)
		return err
	})
	return verdict, err
}

func revoke(ctx context.Context, tx store.Tx, tokenHash, client string, at time.Time) (oauth.Verdict, error) {
	g, err := scanGrant(tx.QueryRow(ctx, `SELECT `+grantColumns+` FROM cloudlink_refresh r
		JOIN cloudlink_grant g ON g.account_id = r.account_id AND g.grant_id = r.grant_id
		WHERE r.token_hash = $1`, tokenHash).Scan)
	if err == nil {
		if g.client != client {
			return oauth.Foreign, nil
		}
		_, err = endGrant(ctx, tx, g.account, g.id, at, "revoked by the client")
		return oauth.Accepted, err
	}
	if !errors.Is(err, oauth.ErrNotFound) {
		return oauth.Unknown, err
	}
	g, err = scanGrant(tx.QueryRow(ctx, `SELECT `+grantColumns+` FROM cloudlink_access a
		JOIN cloudlink_grant g ON g.account_id = a.account_id AND g.grant_id = a.grant_id
		WHERE a.token_hash = $1`, tokenHash).Scan)
	if v, done := settled(g, client, err); done {
		return v, unlessMissing(err)
	}
	_, err = tx.Exec(ctx, `DELETE FROM cloudlink_access WHERE account_id = $1 AND token_hash = $2`, g.account, tokenHash)
	return oauth.Accepted, err
}

// settled judges what needs no further look: nothing found, another client's, or a grant that has ended.
func settled(g grant, client string, err error) (oauth.Verdict, bool) {
	switch {
	case err != nil:
		return oauth.Unknown, true
	case g.client != client:
		return oauth.Foreign, true
	case g.ended != 0:
		return oauth.Unknown, true
	}
	return oauth.Unknown, false
}

func unlessMissing(err error) error {
	if errors.Is(err, oauth.ErrNotFound) {
		return nil
	}
	return err
}

// pair is an access token and the refresh token that came with it.
type pair struct {
	access, refresh string
	generation      int64
	scope           oauth.Scope
	expires, at     time.Time
}

func insertPair(ctx context.Context, tx store.Tx, g grant, p pair) error {
	if err := insertAccess(ctx, tx, g, p.access, p.generation, p.scope, p.expires); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO cloudlink_refresh
		(account_id, token_hash, grant_id, generation, expires_at, rotated_at) VALUES ($1, $2, $3, $4, $5, 0)`,
		g.account, p.refresh, g.id, p.generation, store.Millis(p.at.Add(g.refresh)))
	return err
}

func insertAccess(ctx context.Context, tx store.Tx, g grant, hash string, generation int64, scope oauth.Scope,
	expires time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO cloudlink_access
		(account_id, token_hash, grant_id, generation, scope, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		g.account, hash, g.id, generation, scope.String(), store.Millis(expires))
	return err
}

func saltAAD(acc, tokenHash string) seal.AAD {
	return seal.AAD{Account: acc, Table: "cloudlink_refresh", Column: "salt", Row: tokenHash}
}
