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
