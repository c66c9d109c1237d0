package authentication

import (
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/internal/compact"
	"demarc/telephony"
	"demarc/telephony/digest"
)

// wallet keeps the subscribers that are known, in little memory: there may be a hundred thousand.
type wallet struct {
	epoch time.Time
	seed  maphash.Seed
	offer []digest.Algorithm // whose hashes are kept; nil: all
	slab  compact.Slab[credential]
	homes compact.Shared[house]
	room  []byte // of the text that is being written
}

// credential is a subscriber as memory keeps it: what many have in common stands in memory once, all the rest is one text.
type credential struct {
	text  compact.Kept
	house uint32 // its number
}

// house is what the subscribers of one domain have in common.
type house struct {
	account             account.ID
	domain, realm, srtp string
}

func (h house) Own() house {
	h.account, h.domain = account.ID(strings.Clone(string(h.account))), strings.Clone(h.domain)
	h.realm, h.srtp = strings.Clone(h.realm), strings.Clone(h.srtp)
	return h
}

// What stands in the text: the user behind its length; when the directory was asked, in milliseconds since the epoch; the user
// name for digests, empty where it is the user; then the hashes, each with its kind, its realm where that is not the house's, and
// its HA1: bytes when it is hex, as it nearly always is.
const (
	kindOfHash  = 0x0f // its algorithm's place among the algorithms
	isText      = 1 << 4
	hasOwnRealm = 1 << 5
)

var algorithms = [...]digest.Algorithm{digest.MD5, digest.SHA256, digest.SHA512256}

func newWallet(now time.Time, offer []digest.Algorithm) *wallet {
	return &wallet{epoch: now, offer: offer, seed: maphash.MakeSeed(), homes: compact.NewShared[house]()}
}

func (w *wallet) slot(aor telephony.AoR) (n, hash uint32) {
	hash = uint32(maphash.Comparable(w.seed, aor))
	for n = w.slab.First(hash); n != 0; n = w.slab.After(n) {
		c := w.slab.At(n)
		r := compact.Reader{Rest: c.text.Text()}
		if r.Text() == aor.User && w.homes.At(c.house).domain == aor.Domain {
			break
		}
	}
	return n, hash
}

// find returns a subscriber, and when the directory spoke of it. Its hashes are read by who asks the entry for one.
func (w *wallet) find(aor telephony.AoR) (e entry, ok bool) {
	n, _ := w.slot(aor)
	if n == 0 {
		return entry{}, false
	}
	c := w.slab.At(n)
	text := c.text.Text()
	home, r := w.homes.At(c.house), compact.Reader{Rest: text}
	s := &e.subscriber
	*s = Subscriber{Account: home.account, AoR: telephony.AoR{User: r.Text(), Domain: home.domain}, SRTP: home.srtp}
	e.found, e.read = true, w.epoch.Add(time.Duration(r.Signed())*time.Millisecond)
	if s.AuthUsername = r.Text(); s.AuthUsername == "" {
		s.AuthUsername = s.AoR.User
	}
	e.hashes, e.begin, e.realm = c.text, len(text)-len(r.Rest), home.realm
	return e, true
}

// keep puts a subscriber in the place of what was known of it. The realm is that of the domain.
func (w *wallet) keep(s Subscriber, read time.Time, realm string) {
	w.room = w.appendText(w.room[:0], s, read, realm)
	c := credential{house: w.homes.Hold(house{s.Account, s.AoR.Domain, realm, s.SRTP}), text: compact.Keep(w.room)}
	clear(w.room) // it holds the HA1
	if n, hash := w.slot(s.AoR); n != 0 {
		w.homes.Release(w.slab.At(n).house)
		*w.slab.At(n) = c
	} else {
		w.slab.Add(hash, c)
	}
}

func (w *wallet) appendText(dst []byte, s Subscriber, read time.Time, realm string) []byte {
	dst = compact.AppendText(dst, s.AoR.User)
	dst = binary.AppendVarint(dst, read.Sub(w.epoch).Milliseconds())
	if s.AuthUsername == s.AoR.User {
		dst = compact.AppendText(dst, "")
	} else {
		dst = compact.AppendText(dst, s.AuthUsername)
	}
	for _, h := range s.Hashes {
		if h.Algorithm.Size() == 0 || w.offer != nil && !slices.Contains(w.offer, h.Algorithm) {
			continue // nobody can answer with it
		}
		dst = appendHash(dst, h, realm)
	}
	return dst
}

func appendHash(dst []byte, h digest.Hash, realm string) []byte {
	ha1 := h.HA1.Reveal()
	kind := byte(slices.Index(algorithms[:], h.Algorithm))
	start := len(dst)
	dst = append(dst, kind)
	if h.Realm != realm {
		dst[start] |= hasOwnRealm
		dst = compact.AppendText(dst, h.Realm)
	}
	if raw, err := hex.AppendDecode(dst, []byte(ha1)); err == nil && len(ha1) == h.Algorithm.Size() && hex.EncodeToString(raw[len(dst):]) == ha1 {
		return raw
	}
	dst[start] |= isText
	return compact.AppendText(dst, ha1)
}

// readHash reads what appendHash wrote.
func readHash(r *compact.Reader, realm string) digest.Hash {
	kind := r.Byte()
	h := digest.Hash{Algorithm: algorithms[kind&kindOfHash], Realm: realm}
	if kind&hasOwnRealm != 0 {
		h.Realm = r.Text()
	}
	if kind&isText != 0 {
		h.HA1 = account.Secret(r.Text())
		return h
	}
	h.Bytes = account.Secret(r.Take(h.Algorithm.Size() / 2))
	return h
}

// remove forgets a subscriber.
func (w *wallet) remove(aor telephony.AoR) {
	if n, _ := w.slot(aor); n != 0 {
		w.drop(n)
	}
}

func (w *wallet) drop(n uint32) {
	w.homes.Release(w.slab.At(n).house)
	w.slab.Remove(n)
}

// makeRoom drops any one of so many.
func (w *wallet) makeRoom(limit int) {
	if w.slab.Len() >= limit {
		w.drop(w.slab.Any())
	}
}
