package trace

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"demarc/telephony"
)

// Message is one SIP message on its way.
type Message struct {
	At        time.Time
	AoR       telephony.AoR // whose phone it is
	Inbound   bool          // from the phone
	Known     bool          // the phone has authenticated on its flow
	Transport telephony.Transport
	Local     netip.AddrPort
	Remote    netip.AddrPort
	Text      []byte // as on the wire; it is copied
}

// Entry is a remembered message, without its secrets.
type Entry struct {
	Message
	Seq    uint64 // grows with every message
	CallID string
}

const (
	shards        = 16
	maxPerAoR     = 64 // messages
	strangerShare = 8  // strangers get this part of the memory
	overhead      = 256
	maxText       = 16 << 10 // of one message; more is cut
)

// Recorder remembers messages. Its methods are safe for concurrent use.
type Recorder struct {
	seed   maphash.Seed
	seq    atomic.Uint64
	shards [shards]shard
}

// NewRecorder returns a recorder that holds about so many bytes.
func NewRecorder(bytes int) *Recorder {
	r := &Recorder{seed: maphash.MakeSeed()}
	r.seq.Store(uint64(time.Now().UnixMicro())) // whoever follows reads on when the process has started anew
	for i := range r.shards {
		r.shards[i].init(bytes / shards)
	}
	return r
}

// Record remembers a message.
func (r *Recorder) Record(m Message) {
	m.Text = m.Text[:min(len(m.Text), maxText)]
	s := r.shard(m.AoR)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(m, r.seq.Add(1))
}

// Of returns the messages of an AoR after the sequence number, oldest first.
func (r *Recorder) Of(aor telephony.AoR, after uint64) []Entry {
	s := r.shard(aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.rings[aor]; k != nil {
		return k.since(after, "")
	}
	return nil
}

// Call returns the messages with the Call-ID of all AoRs of a domain, oldest first. It looks through everything.
func (r *Recorder) Call(domain, callID string, after uint64) []Entry {
	var found []Entry
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for aor, k := range s.rings {
			if aor.Domain == domain && callID != "" {
				found = append(found, k.since(after, callID)...)
			}
		}
		s.mu.Unlock()
	}
	slices.SortFunc(found, func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return found
}

// Bytes returns how much memory the messages take.
func (r *Recorder) Bytes() int {
	n := 0
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		n += s.classes[0].used + s.classes[1].used
		s.mu.Unlock()
	}
	return n
}

// shard finds where an AoR's messages are. Domains are few, so that the user alone spreads them.
func (r *Recorder) shard(aor telephony.AoR) *shard {
	return &r.shards[maphash.String(r.seed, aor.User)%shards]
}
