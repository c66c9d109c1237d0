package registrar

// Misses returns how many phones' unanswered probes are remembered.
func (r *Registrar) Misses() (n int) {
	for _, s := range r.shards {
		s.working.Lock()
		n += len(s.misses)
		s.working.Unlock()
	}
	return n
}
