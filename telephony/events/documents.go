package events

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"strconv"
	"time"

	"demarc/internal/account"
	"demarc/telephony"
	"demarc/telephony/registration"
)

// watched is whose state a document holds.
type watched struct {
	account account.ID
	aor     telephony.AoR
}

// eventPackage is one event package (RFC 6665 §7.2).
type eventPackage struct {
	name     string
	document string // MIME type
	self     bool   // a user may watch nobody else
	render   func(s *Service, ctx context.Context, w watched, version int) ([]byte, error)
}

const dialogPackage = "dialog"

// packages returns the event packages in the order of Allow-Events.
func packages() []eventPackage {
	return []eventPackage{
		{"reg", "application/reginfo+xml", true, (*Service).reginfo},
		{"message-summary", "application/simple-message-summary", true, (*Service).summary},
		{dialogPackage, "application/dialog-info+xml", false, (*Service).dialoginfo},
	}
}

// AllowEvents is the value of the Allow-Events header.
func AllowEvents() string {
	var names string
	for i, p := range packages() {
		if i > 0 {
			names += ", "
		}
		names += p.name
	}
	return names
}

func packageNamed(name string) (eventPackage, bool) {
	for _, p := range packages() {
		if p.name == name {
			return p, true
		}
	}
	return eventPackage{}, false
}

type reginfo struct {
	XMLName       xml.Name            `xml:"urn:ietf:params:xml:ns:reginfo reginfo"`
	Version       int                 `xml:"version,attr"`
	State         string              `xml:"state,attr"`
	Registrations registrationElement `xml:"registration"`
}

type registrationElement struct {
	AoR      string    `xml:"aor,attr"`
	ID       string    `xml:"id,attr"`
	State    string    `xml:"state,attr"`
	Contacts []contact `xml:"contact"`
}

type contact struct {
	ID      string `xml:"id,attr"`
	State   string `xml:"state,attr"`
	Event   string `xml:"event,attr"`
	Expires int    `xml:"expires,attr"`
	Q       string `xml:"q,attr,omitempty"`
	CallID  string `xml:"callid,attr"`
	CSeq    uint32 `xml:"cseq,attr"`
	URI     string `xml:"uri"`
}

// reginfo is the whole registration (RFC 3680 §5). Contacts are shown without secrets, and their Call-IDs, which a
// forger could use, are those of the watcher's own phones.
func (s *Service) reginfo(_ context.Context, w watched, version int) ([]byte, error) {
	now := s.now()
	doc := reginfo{Version: version, State: "full", Registrations: registrationElement{
		AoR: "sip:" + w.aor.String(), ID: "r1", State: "init",
	}}
	for _, b := range s.registrations.Bindings(w.aor) {
		c := contact{
			ID: "c" + strconv.FormatUint(fingerprint(b.Key), 36), State: "active", Event: "registered",
			Expires: max(0, int(b.Expires.Sub(now)/time.Second)), CallID: b.CallID, CSeq: b.CSeq,
			URI: registration.PublicContact(b.Contact),
		}
		if b.RefreshedAt.After(b.RegisteredAt) {
			c.Event = "refreshed"
		}
		if b.Q != 1000 {
			c.Q = fmt.Sprintf("0.%03d", b.Q)
		}
		doc.Registrations.State = "active"
		doc.Registrations.Contacts = append(doc.Registrations.Contacts, c)
	}
	return marshal(doc)
}

type dialogInfo struct {
	XMLName xml.Name     `xml:"urn:ietf:params:xml:ns:dialog-info dialog-info"`
	Version int          `xml:"version,attr"`
	State   string       `xml:"state,attr"`
	Entity  string       `xml:"entity,attr"`
	Dialogs []dialogBody `xml:"dialog"`
}

type dialogBody struct {
	ID        string  `xml:"id,attr"`
	Direction string  `xml:"direction,attr"`
	State     string  `xml:"state"`
	Duration  int     `xml:"duration"`
	Local     *target `xml:"local,omitempty"`
	Remote    *target `xml:"remote,omitempty"`
}

type target struct {
	Identity string `xml:"identity"`
}

// dialoginfo is every dialog of the user (RFC 4235 §4). Call-ID and tags are left out: with them a watcher could take
// part in the dialog.
func (s *Service) dialoginfo(ctx context.Context, w watched, version int) ([]byte, error) {
	doc := dialogInfo{Version: version, State: "full", Entity: "sip:" + w.aor.String()}
	if s.dialogs == nil {
		return marshal(doc)
	}
	all, err := s.dialogs.Dialogs(ctx, w.account, w.aor)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		body := dialogBody{
			ID: d.ID, Direction: "recipient", State: d.State, Duration: max(0, int(s.now().Sub(d.Since)/time.Second)),
			Local: &target{"sip:" + w.aor.String()},
		}
		if d.Initiator {
			body.Direction = "initiator"
		}
		if !d.Remote.IsZero() {
			body.Remote = &target{"sip:" + d.Remote.String()}
		}
		doc.Dialogs = append(doc.Dialogs, body)
	}
	return marshal(doc)
}

// summary counts the user's messages (RFC 3842 §5.2).
func (s *Service) summary(ctx context.Context, w watched, _ int) ([]byte, error) {
	var n Waiting
	if s.messages != nil {
		var err error
		if n, err = s.messages.Messages(ctx, w.account, w.aor); err != nil {
			return nil, err
		}
	}
	waiting := "no"
	if n.New+n.UrgentNew > 0 {
		waiting = "yes"
	}
	return fmt.Appendf(nil, "Messages-Waiting: %s\r\nMessage-Account: sip:%s\r\nVoice-Message: %d/%d (%d/%d)\r\n",
		waiting, w.aor, n.New, n.Old, n.UrgentNew, n.UrgentOld), nil
}

func marshal(doc any) ([]byte, error) {
	body, err := xml.MarshalIndent(doc, "", " ")
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{[]byte(xml.Header), body, []byte("\n")}, nil), nil
}
