package encoding

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// ErrState says that an encoded call cannot be read: it is of a newer version, or broken.
var ErrState = errors.New("the state of the call cannot be read")

// coder writes values, or reads them in the same order: each type is named once for both directions, so that what is
// written is what is read.
type coder struct {
	b       []byte
	reading bool
	version int // of what is read, or written
	err     error
}

// since reports whether what is read or written has what came with a version.
func (c *coder) since(v int) bool { return c.version >= v }

func (c *coder) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", ErrState, what)
	}
	c.b = nil
}

// maxList bounds every list that is read.
const maxList = 1 << 12

type whole interface {
	~int | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

func integer[T whole](c *coder, v *T) {
	if !c.reading {
		c.b = binary.AppendVarint(c.b, int64(*v))
		return
	}
	n, used := binary.Varint(c.b)
	if used <= 0 || int64(T(n)) != n {
		c.fail("a number")
		return
	}
	*v, c.b = T(n), c.b[used:]
}

func text[T ~string | ~[]byte](c *coder, v *T) {
	n := uint64(len(*v))
	if !c.reading {
		c.b = append(binary.AppendUvarint(c.b, n), *v...)
		return
	}
	n, used := binary.Uvarint(c.b)
	if used <= 0 || n > uint64(len(c.b)-used) {
		c.fail("a text")
		return
	}
	if n > 0 {
		*v = T(append([]byte(nil), c.b[used:used+int(n)]...))
	}
	c.b = c.b[used+int(n):]
}

func flag(c *coder, v *bool) {
	n := uint8(0)
	if *v {
		n = 1
	}
	integer(c, &n)
	*v = n == 1
}

// when keeps nanoseconds, in UTC.
func when(c *coder, v *time.Time) {
	var n int64
	if !v.IsZero() {
		n = v.UnixNano()
	}
	integer(c, &n)
	if c.reading && n != 0 {
		*v = time.Unix(0, n).UTC()
	}
}

func list[T any](c *coder, v *[]T, each func(*coder, *T)) {
	n := len(*v)
	integer(c, &n)
	if c.reading {
		if n < 0 || n > maxList || n > len(c.b) {
			c.fail("a list")
			return
		}
		if n > 0 {
			*v = make([]T, n)
		}
	}
	for i := range *v {
		each(c, &(*v)[i])
	}
}

// also writes whether something follows, or reads it.
func also(c *coder, there *bool) bool {
	flag(c, there)
	return *there
}

func optional[T any](c *coder, v **T, each func(*coder, *T)) {
	if there := *v != nil; !also(c, &there) {
		return
	}
	if c.reading {
		*v = new(T)
	}
	each(c, *v)
}

func addr(c *coder, v *netip.Addr) {
	b, _ := v.MarshalBinary()
	text(c, &b)
	if c.reading && v.UnmarshalBinary(b) != nil {
		c.fail("an address")
	}
}

func addrPort(c *coder, v *netip.AddrPort) {
	b, _ := v.MarshalBinary()
	text(c, &b)
	if c.reading && len(b) > 0 && v.UnmarshalBinary(b) != nil {
		c.fail("an address with port")
	}
}
