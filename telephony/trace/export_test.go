package trace

// Parameters returns what the quick look at a parameter finds, and what the close one does.
func Parameters(b []byte) (usual, any [3]string, ok bool) {
	key, value, rest, ok := usualParameter(b)
	usual = [3]string{string(key), string(value), string(rest)}
	key, value, rest = anyParameter(b)
	return usual, [3]string{string(key), string(value), string(rest)}, ok
}
