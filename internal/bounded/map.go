package bounded

import (
	"sync"
	"sync/atomic"
)

// Map is a bounded map that forgets what was not used for longest, roughly and at no cost: entries live in a
// new and an old half; what is found in the old one moves to the new; when the new one is full it becomes the old.
// All its methods may be called by several goroutines.
type Map[K comparable, V any] struct {
	mu       sync.Mutex
	half     int
	new, old map[K]V
	size     atomic.Int64
}

// NewMap returns an empty map that holds at most limit entries, and forgets none before it holds half of that.
func NewMap[K comparable, V any](limit int) *Map[K, V] {
	return &Map[K, V]{half: max(1, limit/2), new: make(map[K]V)}
}

// Use returns the entry of k, made by create if there is none. The map is locked meanwhile: create must not use it.
func (m *Map[K, V]) Use(k K, create func() V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.new[k]; ok {
		return v
	}
	v, ok := m.old[k]
	if ok {
		delete(m.old, k)
	} else {
		v = create()
	}
	m.put(k, v)
	return v
}

// Find returns the entry of k if there is one, and marks it used.
func (m *Map[K, V]) Find(k K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.new[k]; ok {
		return v, true
	}
	v, ok := m.old[k]
	if ok {
		delete(m.old, k)
		m.put(k, v)
	}
	return v, ok
}

// Update replaces the entry of k by what change makes of it, and returns that. The map is locked meanwhile: change must not
// use it.
func (m *Map[K, V]) Update(k K, change func(v V, found bool) V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.new[k]
	if !ok {
		v, ok = m.old[k]
		delete(m.old, k)
	}
	v = change(v, ok)
	m.put(k, v)
	return v
}

// Set stores an entry.
func (m *Map[K, V]) Set(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.old, k)
	m.put(k, v)
}

// Remove forgets an entry.
func (m *Map[K, V]) Remove(k K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.old, k)
	delete(m.new, k)
	m.size.Store(int64(len(m.new) + len(m.old)))
}

func (m *Map[K, V]) put(k K, v V) {
	if _, there := m.new[k]; !there && len(m.new) >= m.half {
		m.old, m.new = m.new, make(map[K]V)
	}
	m.new[k] = v
	m.size.Store(int64(len(m.new) + len(m.old)))
}

// Empty reports whether there is no entry. It takes no lock, for maps that nearly always are empty.
func (m *Map[K, V]) Empty() bool { return m.size.Load() == 0 }

// Len returns how many entries there are.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.new) + len(m.old)
}
