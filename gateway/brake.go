package gateway

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	storeregistrar "demarc/store/registrar"
	"demarc/telephony/directory"
)

// meantFor is how long after a users file was refused for whom it leaves out the same one, loaded again, is taken as meant.
const meantFor = 10 * time.Minute

// errManyRemoved tells that a users file was not loaded, because it would take too many out of the directory.
var errManyRemoved = errors.New("the users file leaves out too many")

// brake remembers the users file that was refused last.
type brake struct {
	mu      sync.Mutex
	refused [sha256.Size]byte // of whom it names
	until   time.Time
}

// meant reports whether those whom a file names were refused a moment ago: then somebody has read why and loads it again. Else they are
// refused now.
func (b *brake) meant(d directory.Directory, now time.Time) bool {
	ids := make([]string, 0, len(d.Subscribers))
	for i := range d.Subscribers {
		ids = append(ids, d.Subscribers[i].UserID)
	}
	slices.Sort(ids)
	sum := sha256.Sum256(fmt.Append(nil, ids))
	b.mu.Lock()
	defer b.mu.Unlock()
	if sum == b.refused && now.Before(b.until) {
		b.until = time.Time{}
		return true
	}
	b.refused, b.until = sum, now.Add(meantFor)
	return false
}

// holdBack is errManyRemoved where a users file takes too many out of the directory, unless that is meant: their phones would be refused at
// once, and a file that is empty by mistake would be found so in the middle of a night.
func (g *Gateway) holdBack(ctx context.Context, rows *storeregistrar.Store, path string, d directory.Directory) error {
	removed, before, err := rows.Removes(ctx, g.account.ID, d)
	if err != nil || !directory.Brake(before, removed) || g.telephony.brake.meant(d, g.now()) {
		return err
	}
	return fmt.Errorf("%w: %s would remove %d of %d users, and nothing was changed. Mend it; or, if that is meant, send SIGHUP within %s "+
		"without changing whom it names", errManyRemoved, path, removed, before, meantFor)
}
