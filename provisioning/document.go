package provisioning

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"demarc/cloudlink"
	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony/digest"
)

// Document burns a link and returns its document. ErrExpired: the link is spent, ask for a new one; ErrPending: there
// is no credential yet and the link stays good. The body is made before the link is burnt, and both or nothing happen.
func (s *Service) Document(ctx context.Context, token account.Secret) (Document, error) {
	id, instance := DeviceID(account.NewID("dev")), newInstance()
	var doc Document
	err := s.Store.Redeem(ctx, purposeDocument, token.Hash(), func(t Ticket, r *Record) error {
		now := s.Now()
		if !now.Before(t.ExpiresAt) {
			return ErrExpired
		}
		if err := r.room(); err != nil {
			return err
		}
		d := r.addDevice(Device{
			Account: t.Account, ID: id, User: t.User, Name: "Linphone (" + string(t.Kind) + ")", Kind: t.Kind,
			Origin: OriginDocument, Instance: instance, EnrolledAt: now, LastSeen: now,
		}, "")
		c, ok := r.Credential(t.Kind)
		if !ok {
			return &PendingError{Reason: r.pendingText(d, now)}
		}
		c.Registrars = inOrder(c.Registrars, t.Kind)
		body, err := linphoneDocument(Handout{Device: *d, User: r.User, Credential: c, CAPEM: s.CAPEM})
		if err != nil {
			return err
		}
		doc = Document{ContentType: "application/xml", Body: body}
		r.tell(now, timeline.Enrolled, byDevice, string(id), 0, "A Linphone fetched its provisioning document for the "+
			string(t.Kind)+".")
		return nil
	})
	if err != nil {
		return Document{}, err
	}
	return doc, nil
}

// The form of Linphone's remote provisioning. Each entry overwrites what the softphone has.
type lpConfig struct {
	XMLName  xml.Name    `xml:"http://www.linphone.org/xsds/lpconfig.xsd config"`
	Sections []lpSection `xml:"section"`
}

type lpSection struct {
	Name    string    `xml:"name,attr"`
	Entries []lpEntry `xml:"entry"`
}

type lpEntry struct {
	Name      string `xml:"name,attr"`
	Overwrite bool   `xml:"overwrite,attr"`
	Value     string `xml:",chardata"`
}

// section makes a section of name, value pairs.
func section(name string, pairs ...string) lpSection {
	s := lpSection{Name: name}
	for i := 0; i+1 < len(pairs); i += 2 {
		s.Entries = append(s.Entries, lpEntry{Name: pairs[i], Overwrite: true, Value: pairs[i+1]})
	}
	return s
}

// linphoneDocument writes the account with its hashes, never a password.
//
// config-uri is emptied because Linphone would fetch the one-time link again at each start. Linphone takes a CA
// only as the path of a file ([sip] root_ca), which a document cannot make: the PEM stands in a section of our own
// for the person who sets the phone up, and a root_ca that works already is left alone.
//
// Linphone takes the uuid at its next start only and registers with one of its own until then; so the contact
// carries the device too. Of several auth_info it tries the last one alone, whatever the algorithm of the
// challenge: there is one.
func linphoneDocument(h Handout) ([]byte, error) {
	c := h.Credential
	first := slices.IndexFunc(c.Registrars, func(r cloudlink.Registrar) bool { return r.Transport != "wss" && r.Transport != "ws" })
	if first < 0 {
		return nil, fmt.Errorf("%w: the credential names no registrar that Linphone can reach: it needs tls, tcp or udp", ErrInvalid)
	}
	server := sipURI(c.Registrars[first])
	config := lpConfig{Sections: []lpSection{
		section("misc", "config-uri", "", "uuid", strings.TrimPrefix(h.Device.Instance, "urn:uuid:")),
		section("sip", append([]string{"default_proxy", "0", "guess_hostname", "1", "register_only_when_network_is_up", "1"},
			encryption(c.SRTP)...)...),
		section("proxy_0",
			"reg_proxy", "<"+server+">",
			"reg_route", "<"+server+";lr>",
			"reg_identity", identity(h.User.Name, c),
			"realm", c.Realm,
			"reg_expires", strconv.Itoa(c.RegisterExpires),
			"reg_sendregister", "1", "publish", "0", "avpf", "0",
			"contact_uri_parameters", contactMark+"="+string(h.Device.ID)),
	}}
	if hash, ok := universal(c.Hashes); ok {
		config.Sections = append(config.Sections, section("auth_info_0",
			"username", c.SIPUsername, "userid", c.AuthUsername, "ha1", hash.HA1.Reveal(), "realm", hash.Realm,
			"domain", c.Domain, "algorithm", string(hash.Algorithm)))
	}
	if len(h.CAPEM) > 0 {
		config.Sections = append(config.Sections, section("demarc", "ca", string(h.CAPEM)))
	}
	body, err := xml.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("linphone document: %w", err)
	}
	return append([]byte(xml.Header), body...), nil
}

// contactMark is the parameter of the contact URI that names the device of a document.
const contactMark = "demarc-device"

// markedDevice returns the device that a contact URI names, or nothing.
func markedDevice(contact string) DeviceID {
	for param := range strings.SplitSeq(contact, ";") {
		if name, value, ok := strings.Cut(param, "="); ok && strings.EqualFold(name, contactMark) {
			return DeviceID(strings.TrimSuffix(value, ">"))
		}
	}
	return ""
}

// universal returns the MD5 hash, which every listener takes unless it was told otherwise, or else the first.
func universal(hashes []digest.Hash) (digest.Hash, bool) {
	for _, h := range hashes {
		if h.Algorithm == digest.MD5 {
			return h, true
		}
	}
	if len(hashes) == 0 {
		return digest.Hash{}, false
	}
	return hashes[0], true
}

func sipURI(r cloudlink.Registrar) string {
	host := r.Host
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	if r.Port != 0 {
		host += ":" + strconv.Itoa(r.Port)
	}
	return "sip:" + host + ";transport=" + first(r.Transport, "tls")
}

// identity is a name-addr (RFC 3261 §25.1) with the display name quoted.
func identity(name string, c Credential) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name)
	return `"` + quoted + `" <sip:` + c.SIPUsername + "@" + c.Domain + ">"
}

func encryption(srtp string) []string {
	switch srtp {
	case "required":
		return []string{"media_encryption", "srtp", "media_encryption_mandatory", "1"}
	case "off":
		return []string{"media_encryption", "none", "media_encryption_mandatory", "0"}
	}
	return []string{"media_encryption", "srtp", "media_encryption_mandatory", "0"}
}
