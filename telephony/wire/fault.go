package wire

import "strconv"

// Fault is what is wrong with a message.
type Fault uint8

// The faults.
const (
	Malformed     Fault = iota + 1 // a line or header that does not parse
	Version                        // not SIP/2.0
	Duplicate                      // a second instance of a header that may stand once
	Missing                        // a header that every message carries is absent
	Mismatch                       // the CSeq's method is not the request's
	BadLength                      // Content-Length is no number, lies, or is absent on a stream
	HeadTooLarge                   // the start line and headers exceed Limits.Head
	TooManyFields                  // more header lines than Limits.Fields
	BodyTooLarge                   // Content-Length exceeds Limits.Body
	BadHops                        // Max-Forwards is no number from 0 to 255
)

// String returns a word for counters and logs.
func (f Fault) String() string {
	switch f {
	case Malformed:
		return "malformed"
	case Version:
		return "version"
	case Duplicate:
		return "duplicate_header"
	case Missing:
		return "missing_header"
	case Mismatch:
		return "cseq_mismatch"
	case BadLength:
		return "content_length"
	case HeadTooLarge:
		return "head_too_large"
	case TooManyFields:
		return "too_many_headers"
	case BodyTooLarge:
		return "body_too_large"
	case BadHops:
		return "max_forwards"
	}
	return "unknown"
}

// loosens reports whether a fault leaves the end of the message open: a line that nobody can read may be a Content-Length to others.
func loosens(f Fault, where string) bool {
	switch f {
	case BadLength, HeadTooLarge, TooManyFields, BodyTooLarge:
		return true
	case Duplicate:
		return where == contentLength.String()
	case Malformed:
		return where == unreadable || where == lineEnd
	}
	return false
}

// Where of a fault that is no header's.
const (
	unreadable = "headers"  // a line that is no header
	lineEnd    = "line end" // a CR or LF alone
)

// Status returns the SIP status code that answers the fault.
func (f Fault) Status() int {
	switch f {
	case Version:
		return 505
	case HeadTooLarge, BodyTooLarge, TooManyFields:
		return 513
	}
	return 400
}

// Error is a fault and where it was found. Two errors are equal when both fields are.
type Error struct {
	Fault Fault
	Where string // a canonical header name or "start line"; never text of the message
}

// Error returns the fault and its place.
func (e Error) Error() string { return "SIP message: " + e.Fault.String() + " in " + e.Where }

// Reason returns a reason phrase for the answer.
func (e Error) Reason() string {
	switch e.Fault {
	case Version:
		return "Version Not Supported"
	case Duplicate:
		return "Duplicate " + e.Where
	case Missing:
		return "Missing " + e.Where
	case Mismatch:
		return "CSeq Method Mismatch"
	case HeadTooLarge, BodyTooLarge, TooManyFields:
		return "Message Too Large"
	}
	return "Bad " + e.Where
}

// Limits caps what a message may be. The zero value of a field means its default.
type Limits struct {
	Head   int // bytes of start line and headers; 8 KiB
	Fields int // header lines, folds counted; 128
	Body   int // bytes of body; 64 KiB
}

const (
	defaultHead   = 8 << 10
	defaultFields = 128
	defaultBody   = 64 << 10
)

func (l Limits) withDefaults() Limits {
	if l.Head <= 0 {
		l.Head = defaultHead
	}
	if l.Fields <= 0 {
		l.Fields = defaultFields
	}
	if l.Body <= 0 {
		l.Body = defaultBody
	}
	return l
}

// Size returns the most bytes that a message within the limits can have.
func (l Limits) Size() int {
	l = l.withDefaults()
	return l.Head + l.Body
}

// String returns the limits for logs.
func (l Limits) String() string {
	l = l.withDefaults()
	return "head " + strconv.Itoa(l.Head) + ", fields " + strconv.Itoa(l.Fields) + ", body " + strconv.Itoa(l.Body)
}
