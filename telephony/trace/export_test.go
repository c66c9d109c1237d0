package trace

import "demarc/telephony"

// Parameters returns what the quick look at a parameter finds, and what the close one does.
func Parameters(b []byte) (usual, any [3]string, ok bool) {
	equals, end, ok := usualParameter(b)
	if ok {
		usual = [3]string{string(b[:equals]), string(b[equals+1 : end]), string(b[min(end+1, len(b)):])}
	}
	key, value, rest := nextParameter(b)
	return usual, [3]string{string(key), string(value), string(rest)}, ok
}

// Authorizations returns parameters without their secrets as the quick look and as the close one leave them.
func Authorizations(parameters []byte) (quick, close string, ok bool) {
	done, ok := appendUsual([]byte{' '}, parameters)
	return string(done), string(appendClosely(nil, parameters)), ok
}

// RedactLines is Redact, but reads each line of every message.
func RedactLines(text []byte) []byte {
	text, _ = telephony.HidePasswords(text)
	tokens, _ := mayHold(text)
	return appendLines(nil, text, tokens)
}
