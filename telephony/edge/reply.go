package edge

import (
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"demarc/telephony/registration"
	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// header is one header of an answer.
type header struct{ name, value string }

// answer sends a final answer that needs no state: a retransmission gets the same one again (RFC 3261 §8.2.7).
func (e *Edge) answer(f *flow, m *wire.Message, status int, reason string, headers ...header) {
	e.answerAs(f, m, status, reason, sip.Tag(e.tagSeed, m), headers...)
}

// answerAs is answer with a To tag of the caller's choice.
func (e *Edge) answerAs(f *flow, m *wire.Message, status int, reason, tag string, headers ...header) {
	out := e.buffers.Get()
	b := sip.AppendStatus((*out)[:0], status, reason)
	b = sip.AppendFrame(b, m, f.Remote, tag)
	least, size := len(b), len(m.Head)+len(m.Body)
	for _, h := range headers {
		b = sip.AppendHeader(b, h.name, h.value)
	}
	if b = sip.AppendEnd(b, nil); !e.fits(f, size, len(b)) {
		b = sip.AppendEnd(b[:least], nil)
	}
	*out = b
	if e.fits(f, size, len(b)) {
		if e.cfg.Trace != nil {
			e.tapAnswer(f, phoneOf(m), b, e.cfg.Now())
		}
		f.writer.Send(b)
	} else {
		e.count.rejects.add(Reject{f.Listener, "amplification"}, 1)
	}
	e.buffers.Put(out)
	e.count.messages.add(Message{f.Listener, method(m), status}, 1)
}

// frame renders what a response copies from its request, in a buffer that may be put back when it is used up.
func (e *Edge) frame(f *flow, m *wire.Message) *[]byte {
	b := e.buffers.Get()
	*b = sip.AppendFrame((*b)[:0], m, f.Remote, sip.Tag(e.tagSeed, m))
	return b
}

// appendReply renders the registrar's reply behind what it copies from its request.
func appendReply(dst []byte, r *registration.Reply) []byte {
	for _, c := range r.Challenges {
		dst = sip.AppendHeader(dst, "WWW-Authenticate", c)
	}
	for i := range r.Bindings {
		var room [256]byte // nearly always enough
		dst = sip.AppendHeader(dst, "Contact", appendBinding(room[:0], &r.Bindings[i]))
	}
	if r.MinExpires > 0 {
		dst = sip.AppendHeader(dst, "Min-Expires", strconv.Itoa(r.MinExpires))
	}
	if r.RetryAfter > 0 {
		dst = sip.AppendHeader(dst, "Retry-After", strconv.Itoa(r.RetryAfter))
	}
	if r.Status/100 == 2 {
		for _, p := range r.Path { // RFC 3327 §5.3
			dst = sip.AppendHeader(dst, "Path", p)
		}
		for _, provider := range r.Push { // RFC 8599 §5.4
			dst = sip.AppendHeader(dst, "Feature-Caps", `*;+sip.pns="`+provider+`"`)
		}
		if r.FlowTimer > 0 {
			dst = sip.AppendHeader(dst, "Flow-Timer", strconv.Itoa(r.FlowTimer))
		}
		dst = append(dst, "Supported: path, outbound\r\n"...)
	}
	if r.Unknown != "" {
		dst = sip.AppendHeader(dst, "Unsupported", r.Unknown)
	}
	if r.Outbound {
		dst = sip.AppendHeader(dst, "Require", "outbound")
	}
	if !r.Date.IsZero() {
		dst = append(appendDate(append(dst, "Date: "...), r.Date), "\r\n"...)
	}
	return sip.AppendEnd(dst, nil)
}

// lastDate is the text of the second that was last written into an answer.
var lastDate atomic.Pointer[writtenDate]

type writtenDate struct {
	second int64
	text   string
}

func appendDate(dst []byte, t time.Time) []byte {
	last := lastDate.Load()
	if last == nil || last.second != t.Unix() {
		last = &writtenDate{t.Unix(), t.UTC().Format(dateForm)}
		lastDate.Store(last)
	}
	return append(dst, last.text...)
}

// dateForm is RFC 3261 §20.17's.
const dateForm = "Mon, 02 Jan 2006 15:04:05 GMT"

func appendBinding(dst []byte, b *registration.ReplyBinding) []byte {
	dst = append(append(append(dst, '<'), b.URI...), ">;expires="...)
	dst = strconv.AppendInt(dst, int64(b.Expires), 10)
	if b.Q != 1000 {
		q := strconv.Itoa(1000 + b.Q)
		dst = append(append(dst, ";q=0."...), q[1:]...)
	}
	if b.Instance != "" {
		dst = append(append(append(dst, `;+sip.instance="<`...), b.Instance...), `>"`...)
	}
	if b.RegID > 0 {
		dst = strconv.AppendInt(append(dst, ";reg-id="...), int64(b.RegID), 10)
	}
	return dst
}

// recovered is deferred where work on what strangers send begins: a panic ends that work alone.
func (e *Edge) recovered(where string) {
	if r := recover(); r != nil {
		e.panicked(where, r)
	}
}

// panicked counts and logs a panic of the handler. What it says is logged only when it is the runtime's: other values
// could hold parts of the message.
func (e *Edge) panicked(where string, value any) {
	e.count.panics.Add(1)
	if !e.logRate.Allow() {
		return
	}
	fault, _ := value.(runtime.Error)
	e.log.Error("panic while handling a SIP message", "in", where, "error", fault, "stack", string(debug.Stack()))
}

// passing is where tests make a panic of their own.
func (e *Edge) passing(where string) {
	if fail := e.failpoint.Load(); fail != nil {
		(*fail)(where)
	}
}
