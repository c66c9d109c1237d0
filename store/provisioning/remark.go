package provisioning

import (
	"context"

	"demarc/internal/timeline"
	rules "demarc/provisioning"
	"demarc/store"
	"demarc/telephony"
)

// Remark writes entries into the timelines of those who have a credential of the AoRs. AoRs that nobody on the
// integration has are passed over.
func (s *Store) Remark(ctx context.Context, remarks []rules.Remark) error {
	return s.db.Write(ctx, func(tx store.Tx) error {
		var entries []timeline.Entry
		for _, r := range remarks {
			id, err := ownerOf(ctx, tx, r.Entry.Account, telephony.NewAoR(r.AoR.User, r.AoR.Domain))
			if store.NoRows(err) {
				continue
			}
			if err != nil {
				return err
			}
			r.Entry.User = string(id)
			entries = append(entries, r.Entry)
		}
		return store.WriteTimeline(ctx, tx, entries...)
	})
}
