package events

// Places counts what is held for subscriptions, and for last NOTIFYs.
func (s *Service) Places() int {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	n := 0
	for _, of := range s.table.users {
		n += of
	}
	if n != s.table.places {
		return -1
	}
	return n
}

// Quiet reports whether no NOTIFY of a subscription that stands is under way.
func (s *Service) Quiet() bool {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	for _, sub := range s.table.all {
		if sub.sending {
			return false
		}
	}
	return true
}
