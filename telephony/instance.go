package telephony

import "strings"

// CanonicalInstance returns the one of all ways to write a phone's instance (RFC 5626 §4.1) that stands for them: the equal URNs of RFC 8141
// §3.1 become the same text. A UUID is read without regard to case (RFC 9562 §4). What is no URN stands for itself.
func CanonicalInstance(instance string) string {
	folds := folding(instance)
	for i := range len(instance) {
		if isUpper(instance[i]) && (i < folds || isEscape(instance, i)) {
			return lower(instance, folds)
		}
	}
	return instance
}

// SameInstance reports whether two instances are those of one phone.
func SameInstance(a, b string) bool { return a == b || CanonicalInstance(a) == CanonicalInstance(b) }

// folding returns how much of an instance is read without regard to case: scheme and namespace, or all of a UUID.
func folding(instance string) int {
	const scheme, uuid = "urn:", "urn:uuid:"
	if len(instance) < len(scheme) || !strings.EqualFold(instance[:len(scheme)], scheme) {
		return 0
	}
	if len(instance) >= len(uuid) && strings.EqualFold(instance[:len(uuid)], uuid) {
		return len(instance)
	}
	return len(scheme) + strings.IndexByte(instance[len(scheme):], ':') + 1
}

func lower(instance string, folds int) string {
	b := []byte(instance)
	for i, c := range b {
		if isUpper(c) && (i < folds || isEscape(instance, i)) {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// isEscape reports whether a digit of a percent-encoded byte stands there.
func isEscape(s string, i int) bool { return i >= 1 && s[i-1] == '%' || i >= 2 && s[i-2] == '%' }
