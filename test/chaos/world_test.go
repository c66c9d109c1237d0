package chaos_test

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// world is all phones, and what they know of each other.
type world struct {
	phones    []*phone
	addresses map[string]string // by transport
	tls       *tls.Config
	hurried   bool // no session lasts long without a word
	over      chan struct{}
	calm      atomic.Bool // the network is good, and phones begin nothing
	silent    atomic.Bool // phones say nothing at all
	round     atomic.Int64
	era       atomic.Int64 // rises when the gateway is stopped, and when it is there again: odd while it is not

	stalled atomic.Int64 // when the machine had no time for us last, in ms since 1970

	mu      sync.Mutex
	faults  []string
	counts  map[string]int
	dialogs map[string][]*names // answered, by user
}

// names are those of a dialog.
type names struct{ callID, mine, theirs string }

// A machine that has other things to do lets timers run out that never should: what is under way then proves nothing.
const longPause = 300 * time.Millisecond

// watch notes when this process or the gateway's, asked for what has nothing to do with SIP, have got no time.
func (w *world) watch(h *house) {
	for !w.isOver() {
		began := time.Now()
		time.Sleep(longPause / 6)
		reply, err := h.operator.Get("http://demarc/livez")
		if err == nil {
			_ = reply.Body.Close()
		}
		if w.era.Load()%2 == 0 && time.Since(began) > longPause+longPause/6 {
			w.stalled.Store(time.Now().UnixMilli())
			w.count("the machine stalled")
			w.each((*phone).doubt)
		}
	}
}

func (w *world) slow() bool { return time.Since(time.UnixMilli(w.stalled.Load())) < 2*lifetime }

func (w *world) isOver() bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

// mostAlike is how many faults of a kind are told in full.
const mostAlike = 3

// fault notes what must not be.
func (w *world) fault(kind, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts["fault: "+kind]++
	if w.counts["fault: "+kind] <= mostAlike {
		w.faults = append(w.faults, text)
	}
}

func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// told returns the counts as one text.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for what, n := range w.counts {
		all = append(all, fmt.Sprintf("%s: %d", what, n))
	}
	sort.Strings(all)
	return strings.Join(all, ", ")
}

// somebody is an address of somebody of the domain.
func (w *world) somebody(by *whims) string {
	return strconv.Itoa(firstUser+by.below(people)) + "@" + domain
}

func (w *world) list(d *dialog) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialogs[d.p.user] = append(w.dialogs[d.p.user], &names{d.callID, d.mine, d.theirs})
}

func (w *world) unlist(d *dialog) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialogs[d.p.user] = slices.DeleteFunc(w.dialogs[d.p.user], func(n *names) bool { return n.mine == d.mine })
}

// listed returns a dialog of one of the user's phones.
func (w *world) listed(by *whims, user string) (names, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.dialogs[user]
	if len(all) == 0 {
		return names{}, false
	}
	return *all[by.below(len(all))], true
}

// newWorld connects and registers all phones.
func newWorld(h *house) (*world, error) {
	w := &world{addresses: h.addresses(), tls: h.tls(), over: make(chan struct{}), counts: make(map[string]int),
		dialogs: make(map[string][]*names)}
	w.calm.Store(true)
	for i := range devices {
		s, err := newSound()
		if err != nil {
			return nil, err
		}
		p := &phone{world: w, number: i, user: strconv.Itoa(firstUser + i%people), transport: [...]string{"udp", "udp", "tcp", "tls"}[i*7/3%4],
			whims: &whims{rand.New(rand.NewPCG(0, uint64(i))), w}, inbox: make(chan func(), 4096), sound: s}
		p.callID = fmt.Sprintf("phone-%d-%d", i, p.whims.Int())
		p.forgetAll()
		w.phones = append(w.phones, p)
		go p.run()
		p.post(p.connect)
	}
	go w.watch(h)
	return w, nil
}

func (p *phone) forgetAll() {
	p.clients, p.servers, p.dialogs = make(map[string]*client), make(map[string]*server), make(map[string]*dialog)
	p.past, p.mute, p.doubts = nil, false, 0
}

// each has something happen to every phone, and waits.
func (w *world) each(do func(*phone)) {
	for _, p := range w.phones {
		p.do(func() { do(p) })
	}
}
