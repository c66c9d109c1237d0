package edge

import (
	"context"
	"net"
	"time"
)

// acceptor is one TCP, TLS, WS or WSS listener.
type acceptor struct {
	edge *Edge
	cfg  Listener
	web  *Listener // the WebSocket listener that shares the address; nil: none does
	ln   net.Listener
}

func (a *acceptor) accept(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		nc, err := a.ln.Accept()
		if err == nil {
			a.admit(ctx, nc)
			continue
		}
		if a.edge.isStopping() {
			return
		}
		// Most likely too many open files: connections that end will help.
		a.edge.reject(a.cfg, "accept")
		pause.Reset(50 * time.Millisecond)
		select {
		case <-pause.C:
		case <-a.edge.stopping:
			return
		}
	}
}

func (a *acceptor) admit(ctx context.Context, nc net.Conn) {
	e := a.edge
	remote := nc.RemoteAddr().(*net.TCPAddr).AddrPort()
	if e.standing.Banned(remote.Addr()) {
		e.reject(a.cfg, "banned")
		_ = nc.Close()
		return
	}
	ticket, full := e.guard.Admit(remote.Addr(), func() {
		e.reject(a.cfg, "displaced")
		_ = nc.Close()
	})
	if ticket == nil {
		e.reject(a.cfg, full)
		_ = nc.Close()
		return
	}
	e.count.accepted.add(a.cfg.Name, 1)
	e.count.open.add(a.cfg.Name, 1)
	e.readers.Go(func() {
		defer e.guard.Leave(ticket)
		defer e.count.open.add(a.cfg.Name, -1)
		s := newStream(e, a.cfg, nc, ticket)
		s.flow = e.newFlow(a.cfg, remote, &s.out)
		s.flow.local = unmapped(nc.LocalAddr().(*net.TCPAddr).AddrPort())
		s.flow.rearm, s.beside = s.rearm, a.web
		s.serve(ctx)
	})
}
