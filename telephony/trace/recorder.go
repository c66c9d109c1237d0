package trace

import (
	"cmp"
	"container/list"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
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

// shard has two classes of rings, of known phones and of strangers; each has its budget and drops what was heard of
// least recently.
type shard struct {
	mu      sync.Mutex
	rings   map[telephony.AoR]*ring
	classes [2]class
}

type class struct {
	budget, used int
	order        *list.List // of *ring, most recent first
}

type ring struct {
	aor     telephony.AoR
	class   int
	entries []Entry // oldest first, from start on, around the end
	start   int
	bytes   int
	place   *list.Element
}

// NewRecorder returns a recorder that holds about so many bytes.
func NewRecorder(bytes int) *Recorder {
	r := &Recorder{seed: maphash.MakeSeed()}
	r.seq.Store(uint64(time.Now().UnixMicro())) // whoever follows reads on when the process has started anew
	for i := range r.shards {
		s := &r.shards[i]
		s.rings = make(map[telephony.AoR]*ring)
		strangers := bytes / shards / strangerShare
		s.classes = [2]class{{strangers, 0, list.New()}, {bytes/shards - strangers, 0, list.New()}}
	}
	return r
}

// Record remembers a message.
func (r *Recorder) Record(m Message) {
	m.Text = Redact(m.Text[:min(len(m.Text), maxText)])
	e := Entry{Message: m, Seq: r.seq.Add(1)}
	s := &r.shards[maphash.Comparable(r.seed, m.AoR)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(e)
}

func (s *shard) keep(e Entry) {
	k := s.rings[e.AoR]
	if k == nil {
		k = &ring{aor: e.AoR}
		s.rings[e.AoR] = k
		k.place = s.classes[0].order.PushFront(k)
	}
	if e.Known && k.class == 0 { // it authenticated: out of the strangers' part
		c := &s.classes[0]
		c.order.Remove(k.place)
		c.used -= k.bytes
		k.class = 1
		s.classes[1].used += k.bytes
		k.place = s.classes[1].order.PushFront(k)
	}
	c := &s.classes[k.class]
	c.order.MoveToFront(k.place)
	c.used += k.push(e)
	for c.used > c.budget && c.order.Len() > 0 {
		oldest := c.order.Back().Value.(*ring)
		if oldest == k { // alone it may hold what it holds, less its oldest
			c.used -= k.drop()
			if len(k.entries) > 0 {
				continue
			}
		}
		c.order.Remove(oldest.place)
		c.used -= oldest.bytes
		delete(s.rings, oldest.aor)
	}
}

// push adds an entry and returns by how much the ring grew.
func (k *ring) push(e Entry) (grown int) {
	size := len(e.Text) + overhead
	k.bytes += size
	if len(k.entries) < maxPerAoR {
		k.entries = append(k.inOrder(), e)
		k.start = 0
		return size
	}
	gone := len(k.entries[k.start].Text) + overhead
	k.entries[k.start] = e
	k.start = (k.start + 1) % len(k.entries)
	k.bytes -= gone
	return size - gone
}

// drop forgets the oldest entry and returns its size.
func (k *ring) drop() int {
	k.entries, k.start = k.inOrder(), 0
	gone := len(k.entries[0].Text) + overhead
	k.entries = slices.Delete(k.entries, 0, 1)
	k.bytes -= gone
	return gone
}

func (k *ring) inOrder() []Entry {
	if k.start == 0 {
		return k.entries
	}
	return append(slices.Clone(k.entries[k.start:]), k.entries[:k.start]...)
}

// Of returns the messages of an AoR after the sequence number, oldest first.
func (r *Recorder) Of(aor telephony.AoR, after uint64) []Entry {
	s := &r.shards[maphash.Comparable(r.seed, aor)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.rings[aor]; k != nil {
		return since(k.inOrder(), after, func(Entry) bool { return true })
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
			if aor.Domain == domain {
				found = append(found, since(k.entries, after, func(e Entry) bool { return e.CallID == callID })...)
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

func since(all []Entry, after uint64, wanted func(Entry) bool) []Entry {
	var found []Entry
	for _, e := range all {
		if e.Seq <= after {
			continue
		}
		e.CallID = callID(e.Text)
		if wanted(e) {
			found = append(found, e)
		}
	}
	return found
}
