package edge

import (
	"demarc/telephony"
	"demarc/telephony/edge/read"
	"demarc/telephony/signal"
	"demarc/telephony/sip"
	"demarc/telephony/sip/transaction"
	"demarc/telephony/wire"
)

// response takes a response; it reports whether it was to a request of a call.
func (s *Signalling) response(f *flow, m *wire.Message) bool {
	if !s.served() {
		return false
	}
	tx, way, what := s.uac.Receive(m, f.Flow)
	if m.Status == 430 && way.Path != "" {
		s.flowFailed(way)
	}
	if what != transaction.Told {
		return what == transaction.Old
	}
	method := methodNamed(m.CSeqMethod)
	if m.Status >= 200 {
		s.edge.count.sent.add(answered(f.Listener, method, m.Status), 1)
	}
	r := &signal.Response{Tx: tx, Method: method, Status: m.Status, Reason: reasonOf(m), Way: way}
	if m.Status < 200 && wire.HasToken(m.Require, "100rel") {
		r.RSeq = transaction.RSeq(m)
	}
	if _, bad := read.Message(&r.Message, m, nil); bad != "" && !s.unreadable(r, bad) {
		return true
	}
	s.hand(r)
	return true
}

// unreadable decides what is told of a response that cannot be read, if anything. A phone that rings may still answer as it should; one whose
// 2xx cannot be read is in a dialog, which needs an ACK and a BYE (RFC 3261 §13.2.2.4), unless not even its tag is known.
func (s *Signalling) unreadable(r *signal.Response, bad string) (told bool) {
	s.edge.count.rejects.add(Reject{r.Way.Flow.Listener, "response"}, 1)
	why := "the phone's response cannot be read: " + bad
	switch {
	case r.Status < 200:
		return false
	case r.Method == "INVITE" && r.Status < 300 && r.ToTag != "":
		r.Fault = why
	default:
		r.Status, r.Reason, r.Local = 502, why, true
	}
	return true
}

// maxReason is how much of a reason phrase is told, in bytes.
const maxReason = 256

// reasonOf returns the reason phrase of a response, which mostly is the standard one.
func reasonOf(m *wire.Message) string {
	if usual := sip.Reason(m.Status); usual == string(m.Reason) {
		return usual
	}
	said, _ := telephony.HidePasswords(m.Reason)
	return read.Text(said, maxReason)
}

// flowFailed tells that a proxy knows no way to a phone any more.
func (s *Signalling) flowFailed(way signal.Way) {
	if s.flows == nil {
		return
	}
	for _, b := range s.phone(way) {
		if b.Path == way.Path {
			s.flows.FlowFailed(b)
		}
	}
}
