package wire

// HeadEnd lets the tests find the end of a head.
func HeadEnd(b []byte) int {
	var l lines
	return l.find(b, Limits{}.withDefaults())
}

// Until cuts a list in both ways that there are; the slow one is for quotes, which it is shown by one at the end.
func Until(b []byte, stop byte) (fast, slow int) {
	quoted := append(append([]byte(nil), b...), '"')
	return until(b, stop), min(until(quoted, stop), len(b))
}

// Params cuts the first parameter off in both ways that there are; ok says that the quick look was enough.
func Params(b []byte) (quick, close [3][]byte, ok bool) {
	quick[0], quick[1], quick[2], ok = usualParam(b)
	close[0], close[1], close[2], _ = anyParam(b)
	return quick, close, ok
}
