package main

import (
	"bytes"
	"net"
	"strconv"
)

// reader reads messages, whole ones from a stream too.
type reader struct {
	buf        []byte
	begin, end int
	datagrams  bool
}

func (r *reader) next(conn net.Conn) ([]byte, error) {
	if r.datagrams {
		n, err := conn.Read(r.buf)
		return r.buf[:n], err
	}
	for {
		if m := r.whole(); m != nil {
			return m, nil
		}
		if r.begin > 0 {
			r.end = copy(r.buf, r.buf[r.begin:r.end])
			r.begin = 0
		}
		n, err := conn.Read(r.buf[r.end:])
		if err != nil {
			return nil, err
		}
		r.end += n
	}
}

func (r *reader) whole() []byte {
	rest := r.buf[r.begin:r.end]
	head := bytes.Index(rest, []byte("\r\n\r\n"))
	if head < 0 {
		return nil
	}
	length, _ := strconv.Atoi(string(value(rest[:head+2], "Content-Length")))
	if len(rest) < head+4+length {
		return nil
	}
	r.begin += head + 4 + length
	return rest[:head+4+length]
}

// value returns the first value of a header.
func value(m []byte, name string) []byte {
	begin := 0
	for {
		i := bytes.Index(m[begin:], []byte(name))
		if i < 0 {
			return nil
		}
		at := begin + i
		after := at + len(name)
		if at >= 2 && m[at-1] == '\n' && after < len(m) && m[after] == ':' {
			line := m[after+1:]
			line = line[:bytes.IndexByte(line, '\r')]
			return bytes.TrimLeft(line, " ")
		}
		begin = after
	}
}

// appendLines copies every line of a header, under a name.
func appendLines(dst, m []byte, name, as string) []byte {
	head := m[:bytes.Index(m, []byte("\r\n\r\n"))+2]
	for len(head) > 0 {
		end := bytes.Index(head, []byte("\r\n"))
		line := head[:end]
		head = head[end+2:]
		if len(line) > len(name) && line[len(name)] == ':' && string(line[:len(name)]) == name {
			dst = append(append(dst, as...), line[len(name):]...)
			dst = append(dst, "\r\n"...)
		}
	}
	return dst
}

const sdpHead = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/"

// sdpOf is an offer, or an answer with the tag of one of the keys that were offered.
func sdpOf(secure bool, payloads, keyTag string) string {
	if !secure {
		return sdpHead + "AVP " + payloads + "\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
	}
	return sdpHead + "SAVP " + payloads + "\r\na=rtpmap:101 telephone-event/8000\r\na=crypto:" + keyTag +
		" AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\na=sendrecv\r\n"
}
