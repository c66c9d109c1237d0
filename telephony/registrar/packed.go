package registrar

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
)

// packed is a binding as memory keeps it: there may be a hundred thousand. What a refresh changes stands in fields of their own,
// what many bindings share stands in memory once, and all the rest is one text. Times are kept to the millisecond, as in the store.
type packed struct {
	text      kept
	refreshed int64  // Unix milliseconds
	lasts     uint32 // whole seconds from then until it ends
	cseq      uint32
	common    uint32 // its number
	proof     uint32
}

// common is what the bindings of one domain at one listener have in common.
type common struct {
	account   account.ID
	domain    string
	node      string
	listener  string
	transport telephony.Transport
	local     netip.Addr
	flows     uint64 // the flow's number without its last flowBits
}

func (c common) own() common {
	c.account, c.domain, c.node = account.ID(strings.Clone(string(c.account))), strings.Clone(c.domain), strings.Clone(c.node)
	c.listener, c.transport = strings.Clone(c.listener), telephony.Transport(strings.Clone(string(c.transport)))
	return c
}

// flowBits is how much of the flow's number stands with the binding. A node counts its flows from a large number on.
const flowBits = 20

// What stands in the text: flags (1 byte); the length of the user, and the user itself, unless the Contact names it; Key with
// Contact; Call-ID; the flow's number; the remote; when it was registered, in milliseconds since the epoch; then what the flags
// name. Texts stand behind their lengths.
const (
	isReachable = 1 << iota
	hasUser     // it is not the user of Contact
	hasContact  // it does not begin with what Key says
	hasRank     // Q and RegID are not 1000 and 0
	hasInstance // it is not part of Key
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

// pack writes a binding over the old one in its place, or over nothing. What is the same stays the same in memory.
func (l *locations) pack(b *Binding, p *packed) {
	now := common{b.Account, b.AoR.Domain, b.Node, b.Flow.Listener, b.Flow.Transport, b.Flow.Local, b.Flow.ID >> flowBits}
	switch {
	case p.text.empty():
		p.common = l.commons.hold(now)
	case *l.commons.at(p.common) != now:
		l.commons.release(p.common)
		p.common = l.commons.hold(now)
	}
	p.times(b)
	if l.room = l.appendText(l.room[:0], b); p.text.text() != string(l.room) {
		p.text = keep(l.room)
	}
}

// times takes over what a refresh changes.
func (p *packed) times(b *Binding) {
	p.refreshed, p.cseq, p.proof = b.RefreshedAt.UnixMilli(), b.CSeq, b.Proof
	p.lasts = uint32(min(max(0, b.Expires.Sub(b.RefreshedAt)/time.Second), math.MaxUint32))
}

func (l *locations) appendText(dst []byte, b *Binding) []byte {
	agent := l.agents.number(b.UserAgent)
	flags := b.flags(agent != 0)
	dst = binary.AppendUvarint(append(dst, flags), uint64(len(b.AoR.User)))
	if flags&hasUser != 0 {
		dst = append(dst, b.AoR.User...)
	}
	if flags&hasContact == 0 { // the key is read out of it
		dst = binary.AppendUvarint(dst, uint64(len(b.Key)))
		dst = binary.AppendUvarint(dst, uint64(len(uriKey)+len(b.Contact)))
		dst = append(append(dst, uriKey...), b.Contact...)
	} else {
		dst = appendText(appendText(dst, b.Key), b.Contact)
	}
	dst = appendText(dst, b.CallID)
	dst = binary.AppendUvarint(dst, b.Flow.ID&(1<<flowBits-1))
	dst = appendRemote(dst, b.Flow.Remote)
	dst = binary.AppendVarint(dst, b.RegisteredAt.UnixMilli()-l.epoch)
	if flags&hasRank != 0 {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(b.Q)), uint64(b.RegID))
	}
	if flags&hasInstance != 0 {
		dst = appendText(dst, b.Instance)
	}
	if flags&hasPath != 0 {
		dst = appendText(dst, b.Path)
	}
	if flags&hasAgent != 0 {
		dst = appendText(dst, b.UserAgent)
	} else {
		dst = append(dst, agent)
	}
	if flags&hasRow != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(b.Row))
	}
	return dst
}

// flags says what stands in the text of a binding.
func (b *Binding) flags(knownAgent bool) (flags byte) {
	tail, isURI := strings.CutPrefix(b.Key, uriKey)
	for _, f := range [...]struct {
		flag byte
		set  bool
	}{
		{isReachable, b.Reachable}, {hasUser, !strings.HasPrefix(afterScheme(b.Contact), b.AoR.User)},
		{hasContact, !isURI || !strings.HasPrefix(b.Contact, tail)}, {hasRank, b.Q != 1000 || b.RegID != 0},
		{hasInstance, instanceOf(b.Key) != b.Instance}, {hasPath, b.Path != ""}, {hasAgent, !knownAgent}, {hasRow, b.Row != 0},
	} {
		if f.set {
			flags |= f.flag
		}
	}
	return flags
}

// unpack fills in a binding, whose texts are those that are kept.
func (l *locations) unpack(p *packed, b *Binding) {
	common, r := l.commons.at(p.common), reader{p.text.text()}
	flags, user, key, contact := r.names()
	*b = Binding{
		Account: common.account, Node: common.node, AoR: telephony.AoR{User: user, Domain: common.domain}, Key: key, Contact: contact,
		Reachable: flags&isReachable != 0, CSeq: p.cseq, Proof: p.proof, Q: 1000,
		RefreshedAt: time.UnixMilli(p.refreshed), Expires: time.UnixMilli(p.refreshed + int64(p.lasts)*1000),
	}
	b.CallID = r.text()
	b.Flow = Flow{ID: common.flows<<flowBits | r.number(), Listener: common.listener, Transport: common.transport, Remote: r.remote(),
		Local: common.local}
	b.RegisteredAt = time.UnixMilli(l.epoch + r.signed())
	if flags&hasRank != 0 {
		b.Q, b.RegID = int(r.number()), int(r.number())
	}
	if flags&hasInstance != 0 {
		b.Instance = r.text()
	} else {
		b.Instance = instanceOf(key)
	}
	if flags&hasPath != 0 {
		b.Path = r.text()
	}
	if flags&hasAgent != 0 {
		b.UserAgent = r.text()
	} else {
		b.UserAgent = l.agents.names[r.byte()-1]
	}
	if flags&hasRow != 0 {
		b.Row = int64(binary.LittleEndian.Uint64([]byte(r.take(8))))
	}
}

// names reads what the text begins with.
func (r *reader) names() (flags byte, user, key, contact string) {
	flags = r.byte()
	length := int(r.number())
	if flags&hasUser != 0 {
		user = r.take(length)
	}
	if flags&hasContact == 0 {
		size := r.number()
		both := r.text()
		key, contact = both[:size], both[len(uriKey):]
	} else {
		key, contact = r.text(), r.text()
	}
	if flags&hasUser == 0 {
		user = afterScheme(contact)[:length]
	}
	return flags, user, key, contact
}

// aor returns whose binding it is.
func (l *locations) aor(p *packed) telephony.AoR {
	r := reader{p.text.text()}
	_, user, _, _ := r.names()
	return telephony.AoR{User: user, Domain: l.commons.at(p.common).domain}
}

// owns reports whether a binding is the AoR's.
func (l *locations) owns(aor telephony.AoR, p *packed) bool {
	r := reader{p.text.text()}
	flags, length := r.byte(), r.number()
	if length != uint64(len(aor.User)) || l.commons.at(p.common).domain != aor.Domain {
		return false
	}
	switch {
	case flags&hasUser != 0:
		return r.take(int(length)) == aor.User
	case flags&hasContact != 0:
		return l.aor(p).User == aor.User
	}
	r.number() // the length of the key
	return strings.HasPrefix(afterScheme(r.text()[len(uriKey):]), aor.User)
}

// afterScheme returns a URI from where its user stands, if it names one.
func afterScheme(uri string) string { return uri[strings.IndexByte(uri, ':')+1:] }

// instanceOf returns the instance in a key of the outbound rules, or nothing.
func instanceOf(key string) string {
	rest, ok := strings.CutPrefix(key, instanceKey)
	if !ok {
		return ""
	}
	return rest[:max(0, strings.LastIndex(rest, regIDKey))]
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

func (r *reader) number() uint64 {
	if b := r.rest[0]; b < 0x80 { // nearly always
		r.rest = r.rest[1:]
		return uint64(b)
	}
	return r.large()
}

func (r *reader) large() (n uint64) {
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
