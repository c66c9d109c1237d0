package exchange

import "sync"

// index is a map that many goroutines use, in parts of their own locks.
type index[K comparable, V any] struct {
	hash  func(K) uint64
	parts [32]struct {
		mu sync.RWMutex
		m  map[K]V
		_  [32]byte
	}
}

func newIndex[K comparable, V any](hash func(K) uint64) *index[K, V] {
	i := &index[K, V]{hash: hash}
	for p := range i.parts {
		i.parts[p].m = make(map[K]V)
	}
	return i
}

func (i *index[K, V]) get(k K) (V, bool) {
	p := &i.parts[i.hash(k)%uint64(len(i.parts))]
	p.mu.RLock()
	defer p.mu.RUnlock()
	v, ok := p.m[k]
	return v, ok
}

func (i *index[K, V]) put(k K, v V) {
	p := &i.parts[i.hash(k)%uint64(len(i.parts))]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.m[k] = v
}

func (i *index[K, V]) remove(k K) {
	p := &i.parts[i.hash(k)%uint64(len(i.parts))]
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.m, k)
}

// change replaces a value under its lock; keep false removes it.
func (i *index[K, V]) change(k K, f func(V) (v V, keep bool)) {
	p := &i.parts[i.hash(k)%uint64(len(i.parts))]
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, keep := f(p.m[k]); keep {
		p.m[k] = v
	} else {
		delete(p.m, k)
	}
}

// all visits every value. The visitor must not use the index.
func (i *index[K, V]) all(visit func(V)) {
	for n := range i.parts {
		p := &i.parts[n]
		p.mu.RLock()
		for _, v := range p.m {
			visit(v)
		}
		p.mu.RUnlock()
	}
}

// sum hashes text well enough to spread it (FNV-1a).
func sum[T ~string](s T) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h ^ h>>32
}
