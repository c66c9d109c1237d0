package edge

import (
	"sync"
	"sync/atomic"
)

// generations is a bounded map that forgets what was not used for longest, roughly and at no cost: entries live in a
// new and an old half; what is found in the old one moves to the new; when the new one is full it becomes the old.
type generations[K comparable, V any] struct {
	mu       sync.Mutex
	half     int
	new, old map[K]V
	size     atomic.Int64
}

func newGenerations[K comparable, V any](limit int) *generations[K, V] {
	return &generations[K, V]{half: max(1, limit/2), new: make(map[K]V)}
}

// use returns the entry of k, made by create if there is none.
func (g *generations[K, V]) use(k K, create func() V) V {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v, ok := g.new[k]; ok {
		return v
	}
	v, ok := g.old[k]
	if ok {
		delete(g.old, k)
	} else {
		v = create()
	}
	g.put(k, v)
	return v
}

// find returns the entry of k if there is one, and marks it used.
func (g *generations[K, V]) find(k K) (V, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v, ok := g.new[k]; ok {
		return v, true
	}
	v, ok := g.old[k]
	if ok {
		delete(g.old, k)
		g.put(k, v)
	}
	return v, ok
}

// update replaces the entry of k by what change makes of it, and returns that.
func (g *generations[K, V]) update(k K, change func(v V, found bool) V) V {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := g.new[k]
	if !ok {
		v, ok = g.old[k]
		delete(g.old, k)
	}
	v = change(v, ok)
	g.put(k, v)
	return v
}

// set stores an entry.
func (g *generations[K, V]) set(k K, v V) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.old, k)
	g.put(k, v)
}

// remove forgets an entry.
func (g *generations[K, V]) remove(k K) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.old, k)
	delete(g.new, k)
	g.size.Store(int64(len(g.new) + len(g.old)))
}

func (g *generations[K, V]) put(k K, v V) {
	if _, there := g.new[k]; !there && len(g.new) >= g.half {
		g.old, g.new = g.new, make(map[K]V)
	}
	g.new[k] = v
	g.size.Store(int64(len(g.new) + len(g.old)))
}

// empty is cheap, for maps that nearly always are.
func (g *generations[K, V]) empty() bool { return g.size.Load() == 0 }

func (g *generations[K, V]) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.new) + len(g.old)
}
