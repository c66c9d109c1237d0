package sdp

import (
	"strings"
	"unsafe"
)

// Glance says which kinds of media a description offers, by its m= lines alone and before anything else of it is known to be right:
// ports are taken for those. A line with port 0 offers nothing (RFC 3264 §5.1), nor does one of layers on several ports, which
// Parse counts as refused.
func Glance(body []byte) (audio, video bool) {
	for rest := unsafe.String(unsafe.SliceData(body), len(body)); rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if !strings.HasPrefix(line, "m=") {
			continue
		}
		var room [24]string
		f := fields(line[2:], room[:0])
		if len(f) < 2 {
			continue
		}
		if port, err := mediaPort(f[1]); err != nil || port == 0 {
			continue
		}
		audio = audio || strings.EqualFold(f[0], "audio")
		video = video || strings.EqualFold(f[0], "video")
	}
	return audio, video
}
