package wire

import "bytes"

// Values returns the values of every header line of that full name, in order, compact forms of the headers that the
// scan knows included. It walks the headers again.
func (m *Message) Values(name string) [][]byte {
	var values [][]byte
	wanted := other
	if name != "" {
		wanted = fieldOf([]byte(name))
	}
	_, rest := nextLine(m.Head)
	for len(rest) > 0 {
		line, after := nextLine(rest)
		if line == nil {
			return values
		}
		if colon := bytes.IndexByte(line, ':'); colon > 0 {
			found := trim(line[:colon])
			known := wanted != other && len(found) > 0 && fieldOf(found) == wanted
			if known || EqualFold(found, name) {
				values = append(values, trim(line[colon+1:]))
			}
		}
		rest = after
	}
	return values
}

// Clone returns a copy that shares no memory with the message.
func (m *Message) Clone() (*Message, error) {
	raw := make([]byte, 0, len(m.Head)+len(m.Body))
	raw = append(append(raw, m.Head...), m.Body...)
	own := &Message{}
	return own, own.Scan(raw, Limits{Head: len(m.Head) + 1, Body: len(m.Body) + 1, Fields: len(m.Head)})
}

// Fields calls visit for every header line in order, with name and value as they stand.
func (m *Message) Fields(visit func(name, value []byte)) {
	_, rest := nextLine(m.Head)
	for len(rest) > 0 {
		line, after := nextLine(rest)
		if line == nil {
			return
		}
		if colon := bytes.IndexByte(line, ':'); colon > 0 {
			visit(trim(line[:colon]), trim(line[colon+1:]))
		}
		rest = after
	}
}

// nextLine cuts one line that ends with CRLF. It returns nil for a bare LF.
func nextLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil
	}
	return b[:i-1], b[i+1:]
}
