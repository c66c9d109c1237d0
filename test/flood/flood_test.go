package flood_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"demarc/telephony"
)

// 20,000 REGISTER a second of random users, half of them from the very address of the good phones and half from 400 others,
// with admission set to 1,000 a second: devices that are known go on, memory stays flat, and a stranger gets in soon after.
func TestFloodOfRegisters(t *testing.T) {
	const rate, lasts = 20_000, 12 * time.Second
	s := startServer(t, attacked())
	var known []*phone
	for i := range phones {
		transport := telephony.UDP
		if i%5 == 0 {
			transport = telephony.TLS
		}
		p, err := s.phone(i, transport, "127.0.0.2")
		if err == nil {
			err = p.register(t.Context())
		}
		if err != nil {
			t.Fatalf("before the flood: %v", err)
		}
		known = append(known, p)
	}
	began := time.Now()
	flood, stop := context.WithTimeout(t.Context(), lasts)
	defer stop()
	var work sync.WaitGroup
	var sent, tried, failed atomic.Int64
	same, many := make([]string, 50), make([]string, 400)
	for i := range same {
		same[i] = "127.0.0.2"
	}
	for i := range many { // few enough from each that only admission stands in their way
		many[i] = fmt.Sprintf("127.2.%d.%d", i/200, 1+i%200)
	}
	for _, from := range [][]string{same, many} {
		work.Go(func() { sent.Add(strangers(flood, t, from, s.udp, rate/2)) })
	}
	for _, p := range known {
		work.Go(func() {
			for flood.Err() == nil {
				within, cancel := context.WithTimeout(t.Context(), 4*time.Second)
				tried.Add(1)
				if p.register(within) != nil {
					failed.Add(1)
				}
				cancel()
				select {
				case <-flood.Done():
				case <-time.After(time.Second):
				}
			}
		})
	}
	thirds := s.watchMemory(flood, lasts)
	refused := s.metric("demarc_sip_requests_total", `method="REGISTER"`, `status="503"`)
	asked := s.metric("demarc_sip_requests_total", `method="REGISTER"`, `status="401"`)
	most := admission * (time.Since(began).Seconds() + 1) // and as many at once as in a second
	work.Wait()
	middle, late := thirds[1], thirds[2]
	t.Logf("%d sent in %s; %d refreshes of known devices, %d failed; at most %d, %d and %d MB resident in the "+
		"thirds of it; the kernel counted %s", sent.Load(), lasts, tried.Load(), failed.Load(), thirds[0]>>20, middle>>20, late>>20,
		s.within.used())
	t.Logf("%.0f requests got 503, %.0f were looked into and challenged", refused, asked)
	if own := float64(tried.Load() + phones); asked > most+own || refused < own {
		t.Errorf("admission let %.0f of strangers in, at most %.0f may, and refused %.0f", asked-own, most, refused)
	}
	// A slow machine sends less: five times what is admitted is a flood still.
	if float64(sent.Load()) < 0.25*rate*lasts.Seconds() {
		t.Errorf("the flood was none: %d", sent.Load())
	}
	if failed.Load()*20 > tried.Load() || tried.Load() < phones {
		t.Errorf("%d of %d refreshes failed", failed.Load(), tried.Load())
	}
	if late > memory || late > middle+64<<20 { // in the first third caches fill
		t.Errorf("%d MB resident, %d MB before", late>>20, middle>>20)
	}
	awaitStranger(t, s)
}

// awaitStranger registers a phone that nobody knew, as one does that is told to come back: it tries until it is let in.
func awaitStranger(t *testing.T, s *server) {
	t.Helper()
	began := time.Now()
	fresh, err := s.phone(phones, telephony.UDP, "127.0.0.4")
	if err != nil {
		t.Fatal(err)
	}
	for {
		within, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := fresh.register(within)
		cancel()
		if err == nil {
			t.Logf("a stranger was let in %s after the flood (the aim is 5 s)", time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("a stranger after the flood: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// strangers sends REGISTER of random users at a rate, from a port of each address, and returns how many.
func strangers(ctx context.Context, t *testing.T, from []string, to string, rate int) (sent int64) {
	var sockets []net.Conn
	for _, address := range from {
		c, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(address)}}).Dial("udp", to)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer func() { _ = c.Close() }()
		sockets = append(sockets, c)
	}
	began := time.Now()
	for ctx.Err() == nil {
		due := int64(time.Since(began).Seconds() * float64(rate))
		for ; sent < due; sent++ {
			user := fmt.Sprintf("u%d", sent*7919%1_000_003)
			_, _ = fmt.Fprintf(sockets[sent%int64(len(sockets))], "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:5060;branch=z9hG4bK%d;rport\r\n"+
				"Max-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=f\r\nTo: <sip:%s@%s>\r\nCall-ID: %d\r\nCSeq: 1 REGISTER\r\n"+
				"Contact: <sip:%s@%s>\r\nUser-Agent: flood\r\nContent-Length: 0\r\n\r\n", domain, "192.0.2.1", sent, user, domain, user, domain,
				sent, user, "192.0.2.1")
		}
		time.Sleep(time.Millisecond)
	}
	return sent
}

// Five thousand sockets that say nothing, and some that say one byte a second: phones still connect by TLS, and memory
// stays small.
func TestSilentAndSlowConnections(t *testing.T) {
	s := startServer(t, attacked())
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	for i := range 5000 {
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/500))}, Timeout: 10 * time.Second}
		nc, err := d.Dial("tcp", s.tls)
		if err != nil {
			t.Fatalf("socket %d: %v", i, err)
		}
		defer func() { _ = nc.Close() }()
		if i%100 == 0 { // a TLS record that never ends
			work.Go(func() {
				for _, b := range append([]byte{22, 3, 1, 2, 0}, make([]byte, 512)...) {
					if _, err := nc.Write([]byte{b}); err != nil {
						return
					}
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Second):
					}
				}
			})
		}
	}
	began := time.Now()
	for i := range 10 {
		eventually(t, "a good phone registers", func() bool {
			p, err := s.phone(i, telephony.TLS, "127.0.0.2")
			if err != nil {
				return false
			}
			within, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			return p.register(within) == nil
		})
	}
	t.Logf("ten phones registered in %s with %d MB resident", time.Since(began), s.resident()>>20)
	if r := s.resident(); r > memory {
		t.Errorf("%d MB resident", r>>20)
	}
}
