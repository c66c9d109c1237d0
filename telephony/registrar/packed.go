package registrar

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strings"
	"time"
	"unique"

	"demarc/internal/account"
	"demarc/telephony"
)

// packed is a binding as memory keeps it: there may be a hundred thousand. What a refresh changes stands in fields of their own,
// what many bindings share stands in memory once, and all the rest is one text. Times are kept to the millisecond, as in the store.
type packed struct {
	common    unique.Handle[common]
	text      string
	refreshed int64  // Unix milliseconds
	lasts     uint32 // whole seconds from then until it ends
	cseq      uint32
}

// common is what the bindings of one domain at one listener have in common.
type common struct {
	account   account.ID
	domain    string
	node      string
	listener  string
	transport telephony.Transport
}

// What stands in the text: the user behind its length; flags (1 byte); Q, RegID, the flow's number, the remote, when it was
// registered and the row; then texts, each behind its length: Key with Contact, Call-ID, and what the flags name.
const (
	isReachable = 1 << iota
	hasInstance // it is not part of Key
	hasContact  // it does not begin with what Key says
	hasPath
	hasAgent // it is not one of the known agents, whose number stands there else
	hasRow
)

// The keys of contactKey.
const (
	uriKey      = "uri:"
	instanceKey = "instance:"
	regIDKey    = ";reg-id="
)

// pack returns a binding as it is kept. What is the same as in the old one, if there is one, stays the same in memory.
func (l *locations) pack(b *Binding, old *packed) packed {
	var p packed
	p.times(b)
	shared := common{b.Account, b.AoR.Domain, b.Node, b.Flow.Listener, b.Flow.Transport}
	if old != nil && old.common.Value() == shared {
		p.common = old.common
	} else {
		p.common = unique.Make(shared)
	}
	l.room = l.appendText(l.room[:0], b)
	if old != nil && old.text == string(l.room) {
		p.text = old.text
	} else {
		p.text = string(l.room)
	}
	return p
}

// times takes over what a refresh changes.
func (p *packed) times(b *Binding) {
	p.refreshed, p.cseq = b.RefreshedAt.UnixMilli(), b.CSeq
	p.lasts = uint32(min(max(0, b.Expires.Sub(b.RefreshedAt)/time.Second), math.MaxUint32))
}

func (l *locations) appendText(dst []byte, b *Binding) []byte {
	tail, isURI := strings.CutPrefix(b.Key, uriKey)
	inKey := instanceOf(b.Key) == b.Instance
	agent := l.agents.number(b.UserAgent)
	flags := byte(0)
	for _, f := range [...]struct {
		flag byte
		set  bool
	}{
		{isReachable, b.Reachable}, {hasInstance, !inKey}, {hasContact, !isURI || !strings.HasPrefix(b.Contact, tail)},
		{hasPath, b.Path != ""}, {hasAgent, agent == 0}, {hasRow, b.Row != 0},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	dst = append(appendText(dst, b.AoR.User), flags)
	dst = binary.AppendUvarint(dst, uint64(b.Q))
	dst = binary.AppendUvarint(dst, uint64(b.RegID))
	dst = binary.AppendUvarint(dst, b.Flow.ID)
	dst = appendRemote(dst, b.Flow.Remote)
	dst = binary.AppendVarint(dst, b.RegisteredAt.UnixMilli())
	if b.Row != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(b.Row))
	}
	if flags&hasContact == 0 { // the key is read out of it
		dst = binary.AppendUvarint(dst, uint64(len(b.Key)))
		dst = binary.AppendUvarint(dst, uint64(len(uriKey)+len(b.Contact)))
		dst = append(append(dst, uriKey...), b.Contact...)
	} else {
		dst = appendText(appendText(dst, b.Key), b.Contact)
	}
	dst = appendText(dst, b.CallID)
	if flags&hasInstance != 0 {
		dst = appendText(dst, b.Instance)
	}
	if flags&hasPath != 0 {
		dst = appendText(dst, b.Path)
	}
	if flags&hasAgent != 0 {
		return appendText(dst, b.UserAgent)
	}
	return append(dst, agent)
}

// unpack fills in a binding, whose texts are those that are kept.
func (l *locations) unpack(p *packed, b *Binding) {
	shared := p.common.Value()
	r := reader{p.text}
	aor := telephony.AoR{User: r.text(), Domain: shared.domain}
	flags := r.byte()
	*b = Binding{
		Account: shared.account, Node: shared.node, AoR: aor, Reachable: flags&isReachable != 0,
		RefreshedAt: time.UnixMilli(p.refreshed), Expires: time.UnixMilli(p.refreshed + int64(p.lasts)*1000), CSeq: p.cseq,
		Q: int(r.number()), RegID: int(r.number()),
	}
	b.Flow = Flow{ID: r.number(), Listener: shared.listener, Transport: shared.transport, Remote: r.remote()}
	b.RegisteredAt = time.UnixMilli(r.signed())
	if flags&hasRow != 0 {
		b.Row = int64(binary.LittleEndian.Uint64([]byte(r.take(8))))
	}
	if flags&hasContact == 0 {
		key := r.number()
		both := r.text()
		b.Key, b.Contact = both[:key], both[len(uriKey):]
	} else {
		b.Key, b.Contact = r.text(), r.text()
	}
	b.CallID = r.text()
	if flags&hasInstance != 0 {
		b.Instance = r.text()
	} else {
		b.Instance = instanceOf(b.Key)
	}
	if flags&hasPath != 0 {
		b.Path = r.text()
	}
	if flags&hasAgent != 0 {
		b.UserAgent = r.text()
	} else {
		b.UserAgent = l.agents.names[r.byte()-1]
	}
}

// aor returns whose binding it is.
func (p *packed) aor() telephony.AoR {
	r := reader{p.text}
	return telephony.AoR{User: r.text(), Domain: p.common.Value().domain}
}

// instanceOf returns the instance in a key of the outbound rules, or nothing.
func instanceOf(key string) string {
	rest, ok := strings.CutPrefix(key, instanceKey)
	at := strings.LastIndex(rest, regIDKey)
	if !ok || at < 0 {
		return ""
	}
	return rest[:at]
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendRemote(dst []byte, a netip.AddrPort) []byte {
	var room [32]byte
	b, _ := a.AppendBinary(room[:0]) // never fails
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// reader reads what was packed, from the beginning to the end.
type reader struct{ rest string }

func (r *reader) byte() byte {
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) take(n int) string {
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) number() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (r *reader) signed() int64 {
	n := r.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *reader) text() string { return r.take(int(r.number())) }

func (r *reader) remote() (a netip.AddrPort) {
	_ = a.UnmarshalBinary([]byte(r.text())) // what was marshalled
	return a
}
