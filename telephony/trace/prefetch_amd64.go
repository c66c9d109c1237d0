package trace

// prefetch begins to fetch memory into the processor's cache, and waits for nothing. Go has no word for it, and to read that memory
// instead would wait.
//
//go:noescape
func prefetch(b []byte)
