package wire

import "bytes"

// lines says where the lines of a head end: they are looked for once.
type lines struct {
	ends []int32 // where each LF stands: of the first ones, as many as a head may have
	all  int     // how many LFs there are
	bare bool    // one of them stands without its CR
}

// find finds the lines up to an empty one, and returns where that ends, or -1 when there is none.
func (l *lines) find(b []byte, limits Limits) int {
	l.ends, l.all, l.bare = l.ends[:0], 0, false
	most := limits.Fields + 2 // with the start line and the empty one
	for at := 0; ; {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return -1
		}
		end := at + i
		crlf := end > 0 && b[end-1] == '\r'
		if l.all++; l.all <= most {
			l.ends = append(l.ends, int32(end))
		}
		l.bare = l.bare || !crlf
		if i == 1 && crlf && at > 1 && b[at-2] == '\r' {
			return end + 1
		}
		at = end + 1
	}
}

// whole reports whether every CR and LF of the head is one of a pair: readers differ about one that stands alone.
func (l *lines) whole(head []byte) bool { return !l.bare && bytes.Count(head, []byte("\r")) == l.all }

// at returns a line of the head without its end.
func (l *lines) at(head []byte, n int) []byte {
	if n >= len(l.ends) {
		return nil
	}
	begin := 0
	if n > 0 {
		begin = int(l.ends[n-1]) + 1
	}
	return head[begin : l.ends[n]-1]
}

// folded reports whether a line goes on with the one before it (RFC 3261 §7.3.1).
func (l *lines) folded(head []byte, n int) bool { return isSpace(head[l.ends[n-1]+1]) }
