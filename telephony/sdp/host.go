package sdp

import (
	"fmt"
	"net/netip"
	"strings"
)

// named is the address of a phone that tells a name. Names of phones are not looked up: each could have us ask any server on the way of a
// call, and wait for it. Its media is found where its SIP comes from, like that of a phone that tells an address which means nothing here.
var named = netip.IPv4Unspecified()

// hostAddress reads an address or the name of a host (RFC 8866 §5.7); 0.0.0.0 and :: are none (RFC 3264 §8.4).
func hostAddress(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil && hostName(s):
		return named, nil
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is neither an IP address nor a name", shorten(s))
	case addr.Unmap().IsUnspecified():
		return netip.Addr{}, nil
	case addr.IsMulticast() || addr.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%s is not an address of one host", addr)
	}
	return addr.Unmap(), nil
}

// hostName reports whether s can be a host's name (RFC 1123 §2.1): its last part tells it from an address that was mistyped.
func hostName(s string) bool {
	if len(s) > maxName {
		return false
	}
	last := ""
	for part := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if part == "" || len(part) > 63 || strings.Trim(part, nameLetters+"0123456789-") != "" {
			return false
		}
		last = part
	}
	return strings.Trim(last, "0123456789") != ""
}

const (
	maxName     = 253
	nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
