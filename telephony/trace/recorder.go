package trace

import (
	"bytes"
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

	// Plain says that it is known to have no body, and no credentials but Credentials: only push tokens are looked for then.
	Plain       bool   `json:"-"`
	Credentials []byte `json:"-"` // the value of a header field, a part of Text

	// Answer is what it was answered with at once: it has no body and holds no secret but passwords in URIs and those of Text that are no credentials. It is
	// remembered right behind it.
	Answer []byte `json:"-"`
}

// Entry is a remembered message, without its secrets.
type Entry struct {
	Message
	Seq    uint64 // grows with every message
	CallID string
}

const (
	shards        = 16
	maxPerAoR     = 64       // messages
	strangerShare = 8        // strangers get this part of the memory
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

// Record remembers a message, and its answer if there is one.
func (r *Recorder) Record(m Message) {
	m.Text, m.Answer = cut(m.Text), cut(m.Answer)
	hash := r.hash(m.AoR)
	if !m.Known {
		hash = ofStrangers(hash)
	}
	s := &r.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(hash, &m, r.seq.Add(2)-1)
}

// cut shortens a text that is too long, to whole lines where it has any: half an address does not show what in it is secret.
func cut(text []byte) []byte {
	if len(text) <= maxText {
		return text
	}
	text = text[:maxText]
	if end := bytes.LastIndexByte(text, '\n'); end >= 0 {
		return text[:end+1]
	}
	return text
}

// Of returns the messages of an AoR after the sequence number, oldest first: what its phones said and were told, and what was said in
// its name by who proved nothing.
func (r *Recorder) Of(aor telephony.AoR, after uint64) []Entry {
	hash, last := r.hash(aor), r.seq.Load()
	found := append(r.of(aor, hash, after, last), r.of(aor, ofStrangers(hash), after, last)...)
	slices.SortFunc(found, func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return found
}

// of leaves what is later than the last to another time: something from before it may come meanwhile where nobody looks any more, and
// whoever reads on from there would miss that.
func (r *Recorder) of(aor telephony.AoR, hash, after, last uint64) (found []Entry) {
	s := &r.shards[hash%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(hash)
	if n == none {
		return nil
	}
	s.each(&s.rings[n], after, func(e Entry) {
		if e.AoR == aor && e.Seq <= last {
			found = append(found, e.told(callID(e.Text)))
		}
	})
	return found
}

// Call returns the messages with the Call-ID of all AoRs of a domain, oldest first. It looks through everything after the number.
func (r *Recorder) Call(domain, id string, after uint64) []Entry {
	var found []Entry
	if id == "" {
		return nil
	}
	last := r.seq.Load() // as in of
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		s.since(after, func(k *ring) {
			s.each(k, after, func(e Entry) {
				if e.AoR.Domain == domain && e.Seq <= last && callID(e.Text) == id {
					found = append(found, e.told(id))
				}
			})
		})
		s.mu.Unlock()
	}
	slices.SortFunc(found, func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return found
}

// told returns the entry with memory of its own.
func (e Entry) told(callID string) Entry {
	e.CallID, e.Text = callID, bytes.Clone(e.Text)
	return e
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

// ofStrangers returns the name under which stands what was said in an AoR's name by who proved nothing: they could push out the phone's
// own messages else.
func ofStrangers(hash uint64) uint64 { return ^hash }

// hash names an AoR; nobody can foretell it.
func (r *Recorder) hash(aor telephony.AoR) uint64 { return maphash.Comparable(r.seed, aor) }
