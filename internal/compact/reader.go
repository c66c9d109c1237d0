package compact

import (
	"encoding/binary"
	"net/netip"
)

// AppendText appends a text behind its length.
func AppendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

// AppendAddress appends an address behind the length of its bytes.
func AppendAddress(dst []byte, a netip.AddrPort) []byte {
	var room [32]byte
	b, _ := a.AppendBinary(room[:0]) // never fails
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// Reader reads what was packed, from the beginning to the end, as it was written: what it is asked for is what comes next. Rest is
// what has not been read.
type Reader struct{ Rest string }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	b := r.Rest[0]
	r.Rest = r.Rest[1:]
	return b
}

// Take reads so many bytes.
func (r *Reader) Take(n int) string {
	s := r.Rest[:n]
	r.Rest = r.Rest[n:]
	return s
}

// Number reads what binary.AppendUvarint wrote.
func (r *Reader) Number() uint64 {
	if b := r.Rest[0]; b < 0x80 { // nearly always
		r.Rest = r.Rest[1:]
		return uint64(b)
	}
	return r.large()
}

func (r *Reader) large() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := r.Byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

// Signed reads what binary.AppendVarint wrote.
func (r *Reader) Signed() int64 {
	n := r.Number()
	return int64(n>>1) ^ -int64(n&1)
}

// Text reads what AppendText wrote.
func (r *Reader) Text() string { return r.Take(int(r.Number())) }

// Address reads what AppendAddress wrote.
func (r *Reader) Address() (a netip.AddrPort) {
	_ = a.UnmarshalBinary([]byte(r.Text())) // what was marshalled
	return a
}
