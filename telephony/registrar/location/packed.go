package location

import (
	"encoding/binary"
	"math"
	"net/netip"
	"strings"
	"time"

	"demarc/internal/account"
	"demarc/internal/compact"
	"demarc/telephony"
	"demarc/telephony/registration"
)

// packed is a binding as memory keeps it: there may be a hundred thousand. What a refresh changes stands in fields of their own,
// what many bindings share stands in memory once, and all the rest is one text. Times are kept to the millisecond, as in the store.
type packed struct {
	text      compact.Kept
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

func (c common) Own() common {
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

// pack writes a binding over the old one in its place, or over nothing. What is the same stays the same in memory.
func (l *Service) pack(b *registration.Binding, p *packed) {
	now := common{b.Account, b.AoR.Domain, b.Node, b.Flow.Listener, b.Flow.Transport, b.Flow.Local, b.Flow.ID >> flowBits}
	switch {
	case p.text.Empty():
		p.common = l.commons.Hold(now)
	case *l.commons.At(p.common) != now:
		l.commons.Release(p.common)
		p.common = l.commons.Hold(now)
	}
	p.times(b)
	if l.room = l.appendText(l.room[:0], b); p.text.Text() != string(l.room) {
		p.text = compact.Keep(l.room)
	}
}

// times takes over what a refresh changes.
func (p *packed) times(b *registration.Binding) {
	p.refreshed, p.cseq, p.proof = b.RefreshedAt.UnixMilli(), b.CSeq, b.Proof
	p.lasts = uint32(min(max(0, b.Expires.Sub(b.RefreshedAt)/time.Second), math.MaxUint32))
}

func (l *Service) appendText(dst []byte, b *registration.Binding) []byte {
	agent := l.agents.number(b.UserAgent)
	flags := flagsOf(b, agent != 0)
	dst = binary.AppendUvarint(append(dst, flags), uint64(len(b.AoR.User)))
	if flags&hasUser != 0 {
		dst = append(dst, b.AoR.User...)
	}
	if flags&hasContact == 0 { // the key is read out of it
		dst = binary.AppendUvarint(dst, uint64(len(b.Key)))
		dst = binary.AppendUvarint(dst, uint64(len(registration.URIKey)+len(b.Contact)))
		dst = append(append(dst, registration.URIKey...), b.Contact...)
	} else {
		dst = compact.AppendText(compact.AppendText(dst, b.Key), b.Contact)
	}
	dst = compact.AppendText(dst, b.CallID)
	dst = binary.AppendUvarint(dst, b.Flow.ID&(1<<flowBits-1))
	dst = compact.AppendAddress(dst, b.Flow.Remote)
	dst = binary.AppendVarint(dst, b.RegisteredAt.UnixMilli()-l.epoch)
	if flags&hasRank != 0 {
		dst = binary.AppendUvarint(binary.AppendUvarint(dst, uint64(b.Q)), uint64(b.RegID))
	}
	if flags&hasInstance != 0 {
		dst = compact.AppendText(dst, b.Instance)
	}
	if flags&hasPath != 0 {
		dst = compact.AppendText(dst, b.Path)
	}
	if flags&hasAgent != 0 {
		dst = compact.AppendText(dst, b.UserAgent)
	} else {
		dst = append(dst, agent)
	}
	if flags&hasRow != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(b.Row))
	}
	return dst
}

// flags says what stands in the text of a binding.
func flagsOf(b *registration.Binding, knownAgent bool) (flags byte) {
	tail, isURI := strings.CutPrefix(b.Key, registration.URIKey)
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
func (l *Service) unpack(p *packed, b *registration.Binding) {
	common, r := l.commons.At(p.common), compact.Reader{Rest: p.text.Text()}
	flags, user, key, contact := readNames(&r)
	*b = registration.Binding{
		Account: common.account, Node: common.node, AoR: telephony.AoR{User: user, Domain: common.domain}, Key: key, Contact: contact,
		Reachable: flags&isReachable != 0, CSeq: p.cseq, Proof: p.proof, Q: 1000,
		RefreshedAt: time.UnixMilli(p.refreshed), Expires: time.UnixMilli(p.refreshed + int64(p.lasts)*1000),
	}
	b.CallID = r.Text()
	b.Flow = telephony.Flow{ID: common.flows<<flowBits | r.Number(), Listener: common.listener, Transport: common.transport, Remote: r.Address(),
		Local: common.local}
	b.RegisteredAt = time.UnixMilli(l.epoch + r.Signed())
	if flags&hasRank != 0 {
		b.Q, b.RegID = int(r.Number()), int(r.Number())
	}
	if flags&hasInstance != 0 {
		b.Instance = r.Text()
	} else {
		b.Instance = instanceOf(key)
	}
	if flags&hasPath != 0 {
		b.Path = r.Text()
	}
	if flags&hasAgent != 0 {
		b.UserAgent = r.Text()
	} else {
		b.UserAgent = l.agents.names[r.Byte()-1]
	}
	if flags&hasRow != 0 {
		b.Row = int64(binary.LittleEndian.Uint64([]byte(r.Take(8))))
	}
}

// readNames reads what the text begins with.
func readNames(r *compact.Reader) (flags byte, user, key, contact string) {
	flags = r.Byte()
	length := int(r.Number())
	if flags&hasUser != 0 {
		user = r.Take(length)
	}
	if flags&hasContact == 0 {
		size := r.Number()
		both := r.Text()
		key, contact = both[:size], both[len(registration.URIKey):]
	} else {
		key, contact = r.Text(), r.Text()
	}
	if flags&hasUser == 0 {
		user = afterScheme(contact)[:length]
	}
	return flags, user, key, contact
}

// aor returns whose binding it is.
func (l *Service) aor(p *packed) telephony.AoR {
	r := compact.Reader{Rest: p.text.Text()}
	_, user, _, _ := readNames(&r)
	return telephony.AoR{User: user, Domain: l.commons.At(p.common).domain}
}

// owns reports whether a binding is the AoR's.
func (l *Service) owns(aor telephony.AoR, p *packed) bool {
	r := compact.Reader{Rest: p.text.Text()}
	flags, length := r.Byte(), r.Number()
	if length != uint64(len(aor.User)) || l.commons.At(p.common).domain != aor.Domain {
		return false
	}
	switch {
	case flags&hasUser != 0:
		return r.Take(int(length)) == aor.User
	case flags&hasContact != 0:
		return l.aor(p).User == aor.User
	}
	r.Number() // the length of the key
	return strings.HasPrefix(afterScheme(r.Text()[len(registration.URIKey):]), aor.User)
}

// afterScheme returns a URI from where its user stands, if it names one.
func afterScheme(uri string) string { return uri[strings.IndexByte(uri, ':')+1:] }

// instanceOf returns the instance in a key of the outbound rules, or nothing.
func instanceOf(key string) string {
	rest, ok := strings.CutPrefix(key, registration.InstanceKey)
	if !ok {
		return ""
	}
	return rest[:max(0, strings.LastIndex(rest, registration.RegIDKey))]
}
