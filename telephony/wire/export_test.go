package wire

// HeadEnd lets the tests find the end of a head.
var HeadEnd = headEnd

// Until cuts a list in both ways that there are; the slow one is for quotes, which it is shown by one at the end.
func Until(b []byte, stop byte) (fast, slow int) {
	quoted := append(append([]byte(nil), b...), '"')
	return until(b, stop), min(until(quoted, stop), len(b))
}
