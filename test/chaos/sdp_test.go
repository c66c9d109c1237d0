package chaos_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// session is what a dialog's descriptions say, and what the gateway's have said.
type session struct {
	id, version int
	mine        string         // the last one of the phone's
	kinds       []string       // of its lines; a line never goes away
	formats     string         // of audio, that the phone speaks
	crypto      string         // its key, with the tag of the gateway's offer; empty: plain RTP
	open        bool           // an offer of either side has no answer
	stands      bool           // one has been answered
	sends       bool           // sound goes to the gateway
	remote      netip.AddrPort // where it goes
	payload     byte           // as what
	origin      string         // o= of the gateway, without the version
	texts       map[int]string // of the gateway, by version
}

var rtpmaps = map[string]string{"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "101": "telephone-event/8000"}

// describe writes a description with a direction.
func (d *dialog) describe(kinds []string, refused []bool, formats, direction string) string {
	s := &d.session
	s.version++
	s.kinds = kinds
	profile := "RTP/AVP"
	if s.crypto != "" {
		profile = "RTP/SAVP"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=- %d %d IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n", s.id, s.version)
	for i, kind := range kinds {
		port := d.p.sound.port()
		if refused != nil && refused[i] {
			port = 0
		}
		if kind == "audio" {
			fmt.Fprintf(&b, "m=audio %d %s %s\r\n", port, profile, formats)
			for f := range strings.FieldsSeq(formats) {
				fmt.Fprintf(&b, "a=rtpmap:%s %s\r\n", f, rtpmaps[f])
			}
			fmt.Fprintf(&b, "a=%s\r\n", direction)
		} else {
			fmt.Fprintf(&b, "m=%s %d %s 96\r\na=rtpmap:96 VP8/90000\r\na=%s\r\n", kind, port, profile, direction)
		}
		b.WriteString(s.crypto)
	}
	s.mine = b.String()
	return s.mine
}

// offer writes an offer; with video from then on, if that is wanted.
func (d *dialog) offer(direction string, video bool) string {
	kinds := d.session.kinds
	if len(kinds) == 0 {
		kinds = []string{"audio"}
		if d.p.whims.one(12) {
			kinds = pick(d.p.whims, []string{"video"}, []string{"audio", "audio"}, []string{"audio", "application"}, []string{"video", "audio"},
				[]string{"audio", "video", "video", "audio"})
		}
	}
	if video && len(kinds) == 1 {
		kinds = []string{"audio", "video"}
	}
	d.session.open = true
	if !d.session.stands && d.p.secure() && d.p.whims.one(2) {
		d.session.crypto = key(1)
	}
	d.session.formats = pick(d.p.whims, "8 0 101", "8 0 101", "0 8 101", "0", "8 101", "9 8 101", "9 0")
	body := d.describe(kinds, nil, d.session.formats, direction)
	if direction == "inactive" && d.p.whims.one(2) { // the old way to hold
		body = strings.Replace(strings.Replace(body, "c=IN IP4 127.0.0.1", "c=IN IP4 0.0.0.0", 1), "a=inactive\r\n", "", -1)
		d.session.mine = body
	}
	return body
}

// answer answers an offer of the gateway.
func (d *dialog) answer(offer string, video bool) string {
	d.reads(offer)
	kinds, ports := lines(offer)
	if len(kinds) < len(d.session.kinds) {
		d.p.blame(d, "the gateway offers %v where %v were agreed", kinds, d.session.kinds)
	}
	if d.session.crypto = ""; protected(offer) {
		_, rest, _ := strings.Cut(offer, suite)
		before, _, _ := strings.Cut(offer, suite+rest)
		tag, _ := strconv.Atoi(strings.TrimSpace(before[strings.LastIndex(before, ":")+1:]))
		d.session.crypto = key(tag)
	}
	refused := make([]bool, len(kinds))
	for i := range kinds {
		refused[i] = ports[i] == 0 || protected(offer) && !d.p.secure() || kinds[i] != "audio" && !video
	}
	direction := map[string]string{"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}[directionOf(offer)]
	if direction == "" {
		direction = "sendrecv"
	}
	body := d.describe(kinds, refused, common(offer), direction)
	d.settles(offer, direction)
	return body
}

// answered takes the gateway's answer to the phone's offer.
func (d *dialog) answered(answer string) {
	d.reads(answer)
	if kinds, _ := lines(answer); !slices.Equal(kinds, d.session.kinds) {
		d.p.blame(d, "the gateway answers an offer of %v with %v", d.session.kinds, kinds)
	}
	d.settles(answer, directionOf(d.session.mine))
}

func (d *dialog) settles(theirs, mine string) {
	s := &d.session
	s.open, s.stands = false, true
	s.sends = (mine == "sendrecv" || mine == "sendonly") && directionOf(theirs) != "sendonly" && directionOf(theirs) != "inactive"
	_, ports := lines(theirs)
	_, rest, _ := strings.Cut(theirs, "c=IN IP4 ")
	host, _, _ := strings.Cut(rest, "\r\n")
	if _, err := fmt.Sscan(common(theirs), &s.payload); err != nil {
		s.payload = 0
	}
	if addr, err := netip.ParseAddr(host); err == nil && len(ports) > 0 {
		s.remote = netip.AddrPortFrom(addr, uint16(ports[0]))
	}
}

// reads holds the gateway's description against those before: the version says whether it is another one (RFC 3264 §8).
func (d *dialog) reads(body string) {
	s := &d.session
	_, rest, ok := strings.Cut(body, "\r\no=")
	line, _, _ := strings.Cut(rest, "\r\n")
	parts := strings.Fields(line)
	if !ok || len(parts) != 6 {
		d.p.blame(d, "the description %q has a bad origin", body)
		return
	}
	version, err := strconv.Atoi(parts[2])
	parts[2] = "*"
	origin := strings.Join(parts, " ")
	switch {
	case err != nil || s.origin != "" && s.origin != origin:
		d.p.blame(d, "the origin %s was %s", line, s.origin)
	case s.texts[version] != "" && s.texts[version] != body:
		d.p.blame(d, "version %d of the description reads\n%s\nand once read\n%s", version, body, s.texts[version])
	}
	if s.texts == nil {
		s.texts = make(map[int]string)
	}
	s.origin, s.texts[version] = origin, body
}

// counted holds the versions against each other once the dialog is over: each rises by one.
func (d *dialog) counted() {
	if d.doubtful || d.busy || len(d.session.texts) == 0 { // what is lost when all ends is not said again
		return
	}
	all := slices.Sorted(maps.Keys(d.session.texts))
	if all[len(all)-1]-all[0] != len(all)-1 {
		d.p.blame(d, "the gateway's descriptions have the versions %v", all)
	}
}

const suite = "AES_CM_128_HMAC_SHA1_80"

// key is a key of SDES.
func key(tag int) string {
	return fmt.Sprintf("a=crypto:%d %s inline:%s\r\n", tag, suite, strings.Repeat("abcd", 10))
}

// protected reports whether a description wants SRTP.
func protected(body string) bool { return strings.Contains(body, " RTP/SAVP ") }

// secure reports whether the phone knows SRTP.
func (p *phone) secure() bool { return p.transport == "tls" && p.number%2 == 1 }

// common are the formats of an offer's audio that the phones know.
func common(offer string) string {
	_, rest, _ := strings.Cut(offer, "m=audio ")
	line, _, _ := strings.Cut(rest, "\r\n")
	var known []string
	for i, f := range strings.Fields(line) {
		if i < 2 { // port and profile
			continue
		}
		if name := rtpmaps[f]; name != "" && (f != "101" || strings.Contains(offer, "a=rtpmap:101 telephone-event/8000")) {
			known = append(known, f)
		}
	}
	return strings.Join(known, " ")
}

// lines returns kind and port of the m= lines.
func lines(body string) (kinds []string, ports []int) {
	for line := range strings.SplitSeq(body, "\r\n") {
		if rest, ok := strings.CutPrefix(line, "m="); ok {
			parts := strings.Fields(rest)
			port, _ := strconv.Atoi(parts[1])
			kinds, ports = append(kinds, parts[0]), append(ports, port)
		}
	}
	return kinds, ports
}

// directionOf is that of the first line.
func directionOf(body string) string {
	for line := range strings.SplitSeq(body, "\r\n") {
		switch line {
		case "a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive":
			return line[2:]
		}
	}
	return "sendrecv"
}
