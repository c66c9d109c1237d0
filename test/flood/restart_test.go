package flood_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"demarc/store"
	storeregistrar "demarc/store/registrar"
	"demarc/telephony"
	"demarc/telephony/registration"
)

const (
	crowdSize = 50_000
	crowdTLS  = 8_000
	villages  = 2
)

// Fifty thousand devices are registered when the process is killed: every binding is in the store. When it is there again
// they come back, and none is lost: those on UDP to the binding that they had, those on TLS with a new connection.
func TestAllDevicesComeBackAfterRestart(t *testing.T) {
	needFiles(t, crowdTLS+1000)
	s := startServer(t, setting{users: crowdSize, admission: 20_000}) // with the default they would come back in 20 s
	c := newCrowd(t, s)
	took := c.register(t)
	t.Logf("%d devices registered in %s", crowdSize, took)
	s.end(syscall.SIGKILL)
	before := s.stored()
	c.check(t, before)
	s.start()
	if n := s.metric("demarc_registrar_bindings"); n != crowdSize {
		t.Errorf("%.0f bindings stand after the restart", n)
	}
	restarted := time.Now()
	took = c.register(t)
	t.Logf("%d devices came back in %s, %d MB resident", crowdSize, took, s.resident()>>20)
	if n := s.metric("demarc_registrar_bindings"); n != crowdSize {
		t.Errorf("%.0f bindings stand after all came back", n)
	}
	if n := s.metric("demarc_sip_connections_open", `listener="tls"`); n != crowdTLS {
		t.Errorf("%.0f connections are open", n)
	}
	s.end(syscall.SIGKILL)
	after := s.stored()
	c.check(t, after)
	for i, b := range after {
		old := before[i]
		if b.AoR != old.AoR || b.Instance != old.Instance {
			t.Fatalf("%v was %v", b.ID(), old.ID())
		}
		if b.RefreshedAt.Before(restarted) || b.Flow.ID == old.Flow.ID || b.Flow.Transport != old.Flow.Transport {
			t.Fatalf("%v did not come back: %+v, before %+v", b.ID(), b, old)
		}
		if udp := b.Flow.Transport == telephony.UDP; udp && (b.Flow.Remote != old.Flow.Remote || !b.RegisteredAt.Equal(old.RegisteredAt)) ||
			!udp && b.RegisteredAt.Before(restarted) {
			t.Fatalf("%v is not what came back: %+v, before %+v", b.ID(), b, old)
		}
	}
	s.start()
}

// stored reads the bindings while the process is away, sorted by AoR.
func (s *server) stored() []registration.Binding {
	s.t.Helper()
	db, err := store.Open(s.t.Context(), store.Config{URL: "sqlite:" + filepath.Join(s.dir, "data", "demarc.db"), Timeout: 5 * patience})
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	all, err := storeregistrar.New(db, nil).All(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b registration.Binding) int { return cmp.Compare(a.AoR.User, b.AoR.User) })
	return all
}

// crowd is all devices, and what they register over.
type crowd struct {
	server   *server
	onUDP    [villages][]*device
	onTLS    []*device
	villages [villages]*village
	open     []net.Conn // by number
}

func newCrowd(t *testing.T, s *server) *crowd {
	t.Helper()
	c := &crowd{server: s, open: make([]net.Conn, crowdTLS)}
	for i := range crowdSize {
		if i < crowdTLS {
			c.onTLS = append(c.onTLS, newDevice(i, telephony.TLS))
		} else {
			c.onUDP[i%villages] = append(c.onUDP[i%villages], newDevice(i, telephony.UDP))
		}
	}
	for i := range c.villages {
		v, err := newVillage(s.udp)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = v.conn.Close() })
		c.villages[i] = v
	}
	t.Cleanup(c.hangUp)
	return c
}

func (c *crowd) hangUp() {
	for i, conn := range c.open {
		if conn != nil {
			_ = conn.Close()
			c.open[i] = nil
		}
	}
}

// register lets all devices register, those on TLS over a new connection each, and returns how long it took.
func (c *crowd) register(t *testing.T) time.Duration {
	t.Helper()
	c.hangUp()
	began := time.Now()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute) // for machines that do other things too
	defer stop()
	var work sync.WaitGroup
	var done atomic.Int64
	for i, v := range c.villages {
		work.Go(func() {
			if err := v.register(ctx, c.onUDP[i], 200, &done); err != nil {
				t.Error(err)
			}
		})
	}
	config := &tls.Config{RootCAs: c.server.roots, ServerName: "localhost", CurvePreferences: []tls.CurveID{tls.X25519}}
	devices := make(chan *device)
	for range 16 {
		work.Go(func() {
			for d := range devices {
				conn, err := d.connect(ctx, c.server.tls, config)
				if err != nil {
					t.Error(err)
					continue
				}
				c.open[d.number] = conn
				done.Add(1)
			}
		})
	}
	for _, d := range c.onTLS {
		devices <- d
	}
	close(devices)
	work.Wait()
	if done.Load() != crowdSize {
		t.Fatalf("%d of %d devices are registered", done.Load(), crowdSize)
	}
	return time.Since(began).Round(time.Millisecond)
}

// check holds the stored bindings, sorted by AoR, against the crowd: one for each device, of its own transport.
func (c *crowd) check(t *testing.T, stored []registration.Binding) {
	t.Helper()
	if len(stored) != crowdSize {
		t.Fatalf("%d bindings are stored", len(stored))
	}
	for i, b := range stored {
		want := telephony.UDP
		if i < crowdTLS {
			want = telephony.TLS
		}
		if b.AoR != telephony.NewAoR(user(i), domain) || b.Flow.Transport != want || !b.Reachable {
			t.Fatalf("binding %d is %+v", i, b)
		}
	}
}

// needFiles makes room for open files, as far as the system lets this process.
func needFiles(t *testing.T, need uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= need {
		return
	}
	raised := syscall.Rlimit{Cur: need, Max: max(limit.Max, need)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		t.Fatalf("THIS TEST NEEDS %d OPEN FILES and the hard limit is %d: raise it before the test is started "+
			"(ulimit -Hn %[1]d as root, LimitNOFILE= of the systemd unit, or --ulimit nofile=%[1]d of the container): %[3]v",
			need, limit.Max, err)
	}
}
