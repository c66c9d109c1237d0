package edge

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"demarc/internal/bounded"
	"demarc/telephony"
	"demarc/telephony/edge/read"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/sip/transaction"
	"demarc/telephony/wire"
)

// relay carries requests between a phone here and its call at another node, each way, with a transaction on either side: what
// is lost on UDP is repeated here, and nothing else is decided. It remembers by Call-ID whose calls it carries, so that the
// phone's own requests within them find the way.
type relay struct {
	s      *Signalling
	serial atomic.Uint64
	homes  *bounded.Map[string, string] // Call-ID → node

	mu      sync.Mutex
	clients map[signal.TxID]*relayed // by what was sent on
	servers map[signal.TxID]*relayed // by what came in
}

// relayed is one request under way.
type relayed struct {
	server, client signal.TxID
	over           uint64 // the flow that it came over
	way            signal.Way
	rang           bool // a provisional response has gone back
	accepted       bool // a 2xx has
}

const (
	// relayMark is set in the numbers of all transactions that are relayed, on both sides. The exchange's have a higher bit.
	relayMark = signal.TxID(1) << 62
	maxHomes  = 1 << 16
)

func newRelay(s *Signalling) *relay {
	return &relay{
		s: s, homes: bounded.NewMap[string, string](maxHomes), clients: make(map[signal.TxID]*relayed),
		servers: make(map[signal.TxID]*relayed),
	}
}

func isRelayed(tx signal.TxID) bool { return tx>>62 == relayMark>>62 }

// home returns the node that has the call of a request within a dialog, if this node carries it for another one.
func (r *relay) home(m *wire.Message) (node string, ok bool) {
	if r.homes.Empty() {
		return "", false
	}
	return r.homes.Find(string(m.CallID))
}

// request takes a request and sends it on over a way.
func (r *relay) request(f *flow, m *wire.Message, method string, way signal.Way) {
	switch tx, what := r.s.match(f, m); {
	case what == transaction.Acked:
		r.ack(tx, m)
		return
	case what == transaction.Absorbed || what == transaction.Stray:
		return
	case method == "CANCEL":
		r.s.edge.cancel(f, m)
		return
	}
	out, ok := forwarded(m, method)
	if !ok {
		r.s.edge.answer(f, m, 483, "")
		return
	}
	user, _ := read.AoR(m.FromAddr())
	tx, err := r.s.uas.Begin(transaction.Incoming{
		Message: m, Method: method, Flow: f.key, Source: f.Remote, Reliable: f.Transport.Stream(), Mark: relayMark,
		Peer: &back{signalling: r.s, flow: f, whose: whose{aor: user}, budget: budget(m)},
	})
	if err != nil {
		r.s.edge.later(f, m)
		return
	}
	f.serving.Add(1)
	one := &relayed{server: tx, client: relayMark | signal.TxID(r.serial.Add(1)), over: f.ID, way: way}
	r.mu.Lock()
	r.clients[one.client], r.servers[one.server] = one, one
	r.mu.Unlock()
	if i := slices.IndexFunc(out.Headers, func(h telephony.Header) bool { return h.Name == "Route" }); i >= 0 && way.Path == "" {
		way.Path = out.Headers[i].Value // a phone behind a proxy
	}
	out.Tx, out.Ways = one.client, []signal.Way{way}
	r.s.Send(out)
	if f.Listener == nodeListener && f.ended() { // meanwhile
		r.s.Cancel(one.client, "")
	}
}

// carries notes that the call of a message is at another node.
func (r *relay) carries(m *wire.Message, node string) { r.homes.Set(string(m.CallID), node) }

// forwarded makes of a request what is sent on.
func forwarded(m *wire.Message, method string) (signal.Outgoing, bool) {
	f, ok := sip.Forwarded(m)
	return signal.Outgoing{Method: method, URI: f.URI, Headers: f.Headers, Body: f.Body, Hops: f.Hops}, ok
}

// ack sends the ACK to a 2xx on, which ends what is known of its INVITE.
func (r *relay) ack(tx signal.TxID, m *wire.Message) {
	r.mu.Lock()
	one := r.servers[tx]
	r.mu.Unlock()
	out, ok := forwarded(m, "ACK")
	if one == nil || !ok {
		return
	}
	out.Tx, out.Ways = one.client, []signal.Way{one.way}
	r.s.Send(out)
	r.end(one)
}

func (r *relay) end(one *relayed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients, one.client)
	delete(r.servers, one.server)
}

// gone gives up the INVITEs that came over a flow which has ended, with the node that sent them perhaps: nobody waits for their phones to answer.
func (r *relay) gone(flow uint64) {
	var over []signal.TxID
	r.mu.Lock()
	for tx, one := range r.clients {
		if one.over == flow {
			over = append(over, tx)
		}
	}
	r.mu.Unlock()
	for _, tx := range over {
		r.s.Cancel(tx, "")
	}
}

// take takes what happens to a relayed transaction.
func (r *relay) take(ev signal.Event) {
	r.mu.Lock()
	var one *relayed
	switch ev := ev.(type) {
	case *signal.Response:
		one = r.clients[ev.Tx]
	case *signal.Cancel:
		one = r.servers[ev.Tx]
	case *signal.AckMissing:
		one = r.servers[ev.Tx]
	}
	r.mu.Unlock()
	if answer, ok := ev.(*signal.Response); ok && answer.Method == "INVITE" && answer.Status/100 == 2 && (one == nil || one.accepted) {
		r.takeBack(answer)
		return
	}
	if one == nil {
		return
	}
	switch ev := ev.(type) {
	case *signal.Response:
		r.response(one, ev)
	case *signal.Cancel:
		r.s.Cancel(one.client, ev.Reason)
	case *signal.AckMissing:
		r.end(one)
	}
}

// takeBack ends what a further phone behind the same target has made, which only the first 2xx of goes back (RFC 3261 §13.2.2.4).
func (r *relay) takeBack(ev *signal.Response) {
	const above = 100 // the numbers of PRACKs, which the other node has chosen
	if ev.ToTag == "" || ev.Contact == "" {
		return // it cannot be named, and gives up by itself
	}
	headers := []telephony.Header{{Name: "From", Value: ev.From}, {Name: "To", Value: ev.To}, {Name: "Call-ID", Value: ev.CallID}}
	for _, route := range slices.Backward(ev.RecordRoute) { // §12.1.2
		headers = append(headers, telephony.Header{Name: "Route", Value: route})
	}
	send := func(tx signal.TxID, method string, seq uint32) {
		number := telephony.Header{Name: "CSeq", Value: strconv.FormatUint(uint64(seq), 10) + " " + method}
		r.s.Send(signal.Outgoing{Tx: tx, Method: method, URI: ev.Contact, Ways: []signal.Way{ev.Way}, Headers: append(slices.Clip(headers), number)})
	}
	send(ev.Tx, "ACK", ev.CSeq)
	send(relayMark|signal.TxID(r.serial.Add(1)), "BYE", ev.CSeq+above)
}

// response sends a response back.
func (r *relay) response(one *relayed, ev *signal.Response) {
	reply := signal.Reply{Tx: one.server, Status: ev.Status, Reason: ev.Reason, ToTag: ev.ToTag, ContentType: ev.ContentType, Body: ev.Body}
	for _, value := range ev.RecordRoute {
		reply.Headers = append(reply.Headers, telephony.Header{Name: "Record-Route", Value: value})
	}
	reply.Headers = append(reply.Headers, ev.Headers...)
	switch {
	case ev.Local && ev.Status == 503 && !one.rang: // RFC 5626 §7: who asks tries the phone's next flow
		reply.Status, reply.Reason = 430, ""
	case ev.Local:
		reply.Reason = ""
	}
	one.rang, one.accepted = one.rang || ev.Status < 200, ev.Status/100 == 2
	r.s.Reply(reply)
	if ev.Status >= 300 || ev.Status >= 200 && ev.Method != "INVITE" {
		r.end(one)
	}
}
