package trace

// find returns the ring of a hash, or none.
func (s *shard) find(hash uint64) int32 {
	n := *s.chain(hash)
	for n != none && s.rings[n].hash != hash {
		n = s.rings[n].after
	}
	return n
}

// chain returns where the rings of a hash begin. The lowest bits of hashes say which shard it is.
func (s *shard) chain(hash uint64) *int32 { return &s.index[hash/shards&uint64(len(s.index)-1)] }

// enter puts a ring into the index.
func (s *shard) enter(n int32) {
	first := s.chain(s.rings[n].hash)
	s.rings[n].after, *first = *first, n
}

// leave takes a ring out of the index.
func (s *shard) leave(n int32) {
	at := s.chain(s.rings[n].hash)
	for *at != n {
		at = &s.rings[*at].after
	}
	*at = s.rings[n].after
}

// spread makes so many chains of those there are.
func (s *shard) spread(chains int) {
	old := s.index
	s.index = make([]int32, chains)
	for i := range s.index {
		s.index[i] = none
	}
	for _, n := range old {
		for n != none {
			after := s.rings[n].after
			s.enter(n)
			n = after
		}
	}
}

// since visits every ring that has been written to after a number: the last ones of each class.
func (s *shard) since(after uint64, visit func(*ring)) {
	for class := range s.classes {
		for n := s.rings[class].previous; n != int32(class) && s.rings[n].newest > after; n = s.rings[n].previous {
			visit(&s.rings[n])
		}
	}
}
