package bounded

import (
	"math/bits"
	"sync"
)

// Marks is a bounded set of hashes in little memory: six bytes and a little air for each. Like [Map] it forgets what was not
// used for longest, roughly and at no cost. Of a hash 48 bits are told apart: that one which nobody can foretell is taken for
// another comes once in a billion questions. All its methods may be called by several goroutines.
type Marks struct {
	mu       sync.Mutex
	half     int
	new, old markTable
}

// NewMarks returns an empty set that holds at most limit hashes, and forgets none before it holds half of that.
func NewMarks(limit int) *Marks { return &Marks{half: max(1, limit/2)} }

// Add puts a hash into the set.
func (m *Marks) Add(hash uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.use(markOf(hash))
}

// Has reports whether a hash is in the set, and marks it used.
func (m *Marks) Has(hash uint64) bool {
	mark := markOf(hash)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.new.has(mark) {
		return true
	}
	if !m.old.has(mark) {
		return false
	}
	m.use(mark)
	return true
}

func (m *Marks) use(mark uint64) {
	if m.new.has(mark) {
		return
	}
	if m.new.used >= m.half {
		m.old, m.new = m.new, markTable{}
	}
	m.new.add(mark)
}

// markOf returns the bits of a hash that are kept; never 0, which stands for nothing.
func markOf(hash uint64) uint64 { return max(1, hash>>16) }

// markTable holds marks in open addressing. Nothing is taken out.
type markTable struct {
	low  []uint32
	high []uint16
	used int
}

const leastMarks = 64

func (t *markTable) has(mark uint64) bool { return len(t.low) > 0 && t.at(t.place(mark)) == mark }

func (t *markTable) at(i int) uint64 { return uint64(t.high[i])<<32 | uint64(t.low[i]) }

// place returns where a mark stands, or where there is room for it.
func (t *markTable) place(mark uint64) int {
	scaled, _ := bits.Mul64(mark<<16, uint64(len(t.low)))
	for i := int(scaled); ; i++ {
		if i == len(t.low) {
			i = 0
		}
		if found := t.at(i); found == 0 || found == mark {
			return i
		}
	}
}

// add puts in what is not there. A fifth of the places stays empty, so that there is always one near.
func (t *markTable) add(mark uint64) {
	if t.used+1 > len(t.low)*4/5 {
		t.grow(max(leastMarks, len(t.low)*5/4))
	}
	i := t.place(mark)
	t.low[i], t.high[i] = uint32(mark), uint16(mark>>32)
	t.used++
}

func (t *markTable) grow(places int) {
	old := *t
	*t = markTable{low: make([]uint32, places), high: make([]uint16, places)}
	for i := range old.low {
		if mark := old.at(i); mark != 0 {
			t.add(mark)
		}
	}
}
