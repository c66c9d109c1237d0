package trace

import (
	"net/netip"
	"time"

	"demarc/telephony"
)

// ring holds the last messages of one AoR.
type ring struct {
	aor   telephony.AoR
	class int
	bytes int
	room  []entry // a circle; count of them are in use, from start on
	start int
	count int

	previous, next *ring // in the class: next was heard of later
}

// entry is a Message that is kept: its AoR is the ring's.
type entry struct {
	at             time.Time
	inbound, known bool
	transport      telephony.Transport
	local, remote  netip.AddrPort
	text           []byte
	seq            uint64
}

// size is what the entry counts for in the budget.
func (e entry) size() int { return cap(e.text) + overhead }

// push adds an entry and returns its size.
func (k *ring) push(e entry) int {
	if k.count == len(k.room) {
		k.grow()
	}
	k.room[(k.start+k.count)%len(k.room)] = e
	k.count++
	k.bytes += e.size()
	return e.size()
}

func (k *ring) grow() {
	larger := make([]entry, max(4, 2*len(k.room)))
	n := copy(larger, k.room[k.start:])
	copy(larger[n:], k.room[:k.start])
	k.room, k.start = larger, 0
}

// pop takes the oldest entry out.
func (k *ring) pop() entry {
	e := k.room[k.start]
	k.room[k.start] = entry{}
	k.start = (k.start + 1) % len(k.room)
	k.count--
	k.bytes -= e.size()
	return e
}

// since copies the entries after the sequence number, oldest first: those of one call, or all when callID is empty.
func (k *ring) since(after uint64, call string) []Entry {
	var found []Entry
	for i := range k.count {
		e := k.room[(k.start+i)%len(k.room)]
		if e.seq <= after {
			continue
		}
		if id := callID(e.text); call == "" || id == call {
			found = append(found, e.shown(k.aor, id))
		}
	}
	return found
}

// shown copies the entry: its memory will be used again.
func (e entry) shown(aor telephony.AoR, callID string) Entry {
	return Entry{Seq: e.seq, CallID: callID, Message: Message{
		At: e.at, AoR: aor, Inbound: e.inbound, Known: e.known, Transport: e.transport, Local: e.local, Remote: e.remote,
		Text: append([]byte(nil), e.text...),
	}}
}

// unlink takes the ring out of its class, if it is in one.
func (k *ring) unlink() {
	if k.next == nil {
		return
	}
	k.previous.next, k.next.previous = k.next, k.previous
	k.previous, k.next = nil, nil
}
