package transport_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"demarc/telephony/edge/transport"
)

// pair returns a direct connection and its peer.
func pair(t *testing.T) (direct, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if peer, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return transport.Direct(nc), peer
}

// More than the system has room for is written while the peer is slow, and read back whole to the end.
func TestDirectReadsAndWritesAll(t *testing.T) {
	direct, peer := pair(t)
	sent := bytes.Repeat([]byte("INVITE sip:1002@example.com SIP/2.0\r\n"), 1<<18)
	wrote := make(chan error, 1)
	go func() {
		n, err := direct.Write(sent)
		if err == nil && n != len(sent) {
			err = io.ErrShortWrite
		}
		wrote <- err
	}()
	echoed := make(chan error, 1)
	go func() {
		_, err := io.CopyN(peer, peer, int64(len(sent)))
		echoed <- errors.Join(err, peer.(*net.TCPConn).CloseWrite())
	}()
	got, err := io.ReadAll(direct)
	if err := errors.Join(err, <-wrote, <-echoed); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back, not the %d that were written", len(got), len(sent))
	}
}

// Deadlines and an end by either side are told as package net tells them.
func TestDirectSaysWhyItEnds(t *testing.T) {
	direct, peer := pair(t)
	room := make([]byte, 16)
	if n, err := direct.Read(nil); n != 0 || err != nil {
		t.Errorf("reading nothing: %d, %v", n, err)
	}
	if err := direct.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Read(room); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	if err := direct.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Read(room); err != io.EOF {
		t.Errorf("after the peer's end: %v", err)
	}
	if err := direct.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Read(room); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading a closed one: %v", err)
	}
	if _, err := direct.Write(room); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing to a closed one: %v", err)
	}
}

// What is no TCP connection is left as it is.
func TestOtherConnectionsStayAsTheyAre(t *testing.T) {
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	if got := transport.Direct(one); got != one {
		t.Errorf("a pipe became %T", got)
	}
}
