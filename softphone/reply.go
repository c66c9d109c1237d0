package softphone

import (
	"strings"

	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// boundContact is one binding in a 200 to REGISTER.
type boundContact struct {
	uri      string
	instance string
	expires  int // seconds, -1 when not said
}

// contacts reads the bindings of a 200. What cannot be read is left out.
func contacts(r *sip.Response) []boundContact {
	var all []boundContact
	for _, value := range r.Values("Contact") {
		addr, ok := wire.ParseNameAddr([]byte(value))
		if !ok {
			continue
		}
		c := boundContact{uri: string(addr.URI), expires: -1}
		if v, ok := wire.Param(addr.Params, "expires"); ok {
			c.expires = wire.Seconds(v)
		}
		if v, ok := wire.Param(addr.Params, "+sip.instance"); ok {
			c.instance = strings.Trim(string(v), "<>")
		}
		all = append(all, c)
	}
	return all
}

// grantedSeconds reads our own line of the 200, then its Expires header, then believes what was asked (RFC 3261
// §10.2.4). It is 0 when the 200 lists bindings and ours is not among them.
func grantedSeconds(r *sip.Response, uri, instance string, asked int) int {
	all := contacts(r)
	for _, c := range all {
		if c.expires >= 0 && (c.uri == uri || c.instance == instance) {
			return c.expires
		}
	}
	for _, c := range all {
		if c.uri == uri || c.instance == instance {
			return headerExpires(r, asked)
		}
	}
	if len(all) > 0 {
		return 0
	}
	return headerExpires(r, asked)
}

func headerExpires(r *sip.Response, asked int) int {
	if v := r.Header("Expires"); v != "" {
		return wire.Seconds([]byte(v))
	}
	return asked
}

// warningText returns the quoted part of a Warning (RFC 3261 §20.43): some PBXs say there why they answer 403.
func warningText(value string) string {
	_, rest, ok := strings.Cut(value, `"`)
	if !ok {
		return ""
	}
	text, _, _ := strings.Cut(rest, `"`)
	return text
}
