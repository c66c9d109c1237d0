package sdp

// Direction is who sends, as the side sees it that says so: our SendOnly is the phone's a=recvonly.
type Direction string

// The directions (RFC 3264 §5.1).
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Sends reports whether the side sends. An empty direction is sendrecv.
func (d Direction) Sends() bool { return d != RecvOnly && d != Inactive }

// Receives reports whether the side wants to receive. An empty direction is sendrecv.
func (d Direction) Receives() bool { return d != SendOnly && d != Inactive }

// Reverse returns the same as the other side sees it.
func (d Direction) Reverse() Direction { return direction(d.Receives(), d.Sends()) }

// And returns what both directions allow.
func (d Direction) And(other Direction) Direction {
	return direction(d.Sends() && other.Sends(), d.Receives() && other.Receives())
}

func direction(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	default:
		return Inactive
	}
}
