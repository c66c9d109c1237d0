package calls

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
	"slices"

	"demarc/internal/account"
	"demarc/store"
	"demarc/telephony"
)

// Who took part in a call is found by two numbers in its row: nearly every call has one who called and one who was called. Whoever
// else comes to be in it has a row of call_party, as all had before.

// people makes numbers of people, in memory that it uses again.
type people struct {
	hash hash.Hash
	room []byte
}

func newPeople() *people { return &people{hash: sha256.New()} }

// key is a number for somebody of an account, 0 for nobody. Two may share one by chance, so that who reads asks the record too;
// nobody can choose a name that shares another's.
func (p *people) key(id account.ID, aor telephony.AoR) int64 {
	if aor.IsZero() {
		return 0
	}
	b := append(append(p.room[:0], id...), 0)
	b = append(append(b, store.CleanText(aor.User)...), '@')
	b = append(b, store.CleanText(aor.Domain)...)
	p.hash.Reset()
	_, _ = p.hash.Write(b) // never fails
	p.room = p.hash.Sum(b[:0])
	return int64(binary.BigEndian.Uint64(p.room) | 1) // never 0
}

// firstCalled is who has the first leg that is not the caller's; when nobody has, as where no phone was registered, who was dialled by
// a whole address, if anybody.
func firstCalled(r *telephony.CallRecord) telephony.AoR {
	for i := range r.Legs {
		if who := r.Legs[i].AoR; !who.IsZero() && who != r.Caller {
			return who
		}
	}
	if who, err := telephony.ParseAoR(r.Dialled); err == nil && who != r.Caller {
		return who
	}
	return telephony.AoR{}
}

// appendThird appends a row for everybody of a call whom its own row does not name.
func appendThird(rows [][]any, r *telephony.CallRecord) [][]any {
	called := firstCalled(r)
	var seen []string
	for i := range r.Legs {
		who := r.Legs[i].AoR
		if who.IsZero() || who == r.Caller || who == called {
			continue
		}
		if text := store.CleanText(who.String()); !slices.Contains(seen, text) {
			seen = append(seen, text)
		}
	}
	slices.Sort(seen) // in the order of keys, as calls are
	for _, who := range seen {
		rows = append(rows, []any{string(r.Account), who, string(r.ID)})
	}
	return rows
}

// tookPart reports whether somebody stands in a call's record.
func tookPart(r *telephony.CallRecord, who telephony.AoR) bool {
	return r.Caller == who || firstCalled(r) == who || slices.ContainsFunc(r.Legs, func(l telephony.LegRecord) bool { return l.AoR == who })
}

// begun is when a call began by its id, in ms since 1970: its order is that of the ids, which the record's own time need not keep.
func begun(id telephony.CallID) int64 {
	if ms, ok := id.Begun(); ok {
		return ms
	}
	return math.MaxInt64 // as endOfIDs
}
