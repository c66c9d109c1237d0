package softphone

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"demarc/telephony"
	"demarc/telephony/sip"
)

// session is one connection to a registrar with the registration made over it. The connection is kept for as long as
// the registration stands, because calls come back over it (RFC 5626 §4.2).
type session struct {
	cred    *credential
	addr    address
	conn    *sip.Conn
	ids     *identity
	agent   string
	patient time.Duration // for one answer
	expires int           // seconds to ask for
	answer  *answer       // to the last challenge: used again until its nonce is refused
	plain   bool          // a proxy in between knows no outbound: registered is without

	until   time.Time     // end of the registration
	granted time.Duration // its length
}

// identity is what all REGISTERs of one run of a phone share (RFC 3261 §10.2).
type identity struct {
	callID string
	tag    string
	cseq   uint32
}

// dial connects to one address of the credential. For TLS the certificate must be for the address's host and signed by
// an authority of the credential.
func dial(ctx context.Context, cred *credential, p *Profile, addr address, log *slog.Logger) (*sip.Conn, error) {
	cfg := sip.Config{Transport: telephony.Transport(addr.Transport), Address: addr.String(), Log: log}
	if cred.Keepalive > 0 {
		interval := time.Duration(cred.Keepalive) * time.Second
		cfg.KeepAlive = between(interval*8/10, interval) // RFC 5626 §4.4: not all phones at once
	}
	if cfg.Transport == telephony.TLS {
		roots, err := rootPool(cred.authorities(p))
		if err != nil {
			return nil, err
		}
		cfg.TLS = &tls.Config{RootCAs: roots, ServerName: addr.Host, MinVersion: tls.VersionTLS12}
	}
	return sip.Dial(ctx, cfg)
}

// register asks for the registration or refreshes it. Its error is a *Failure.
func (s *session) register(ctx context.Context) error {
	reply, err := s.exchange(ctx, s.expires)
	if err != nil {
		return err
	}
	seconds := grantedSeconds(reply, s.contactURI(), s.cred.Instance, s.expires)
	if seconds <= 0 {
		return s.failure(reply.Status, "the PBX answered 200 but did not keep the registration: "+
			"check its limit of phones per user")
	}
	if timer, err := strconv.Atoi(reply.Header("Flow-Timer")); err == nil && timer > 0 && timer < maxExpires {
		longest := time.Duration(timer) * time.Second
		s.conn.KeepAlive(between(longest*8/10, longest)) // RFC 5626 §4.4.1; what the credential asks for may be shorter
	}
	s.granted = time.Duration(seconds) * time.Second
	s.until = time.Now().Add(s.granted)
	return nil
}

// unregister removes the registration of this device, and of no other (RFC 3261 §10.2.2).
func (s *session) unregister(ctx context.Context) error {
	_, err := s.exchange(ctx, 0)
	return err
}

// exchange sends REGISTER until there is an answer that more asking does not change: one challenge answered, once more
// when its nonce was stale, one Min-Expires followed.
func (s *session) exchange(ctx context.Context, expires int) (*sip.Response, error) {
	var answered, stale, longer bool
	for {
		reply, err := s.send(ctx, expires)
		if err != nil {
			return nil, err
		}
		switch {
		case reply.Status < 300:
			return reply, nil
		case reply.Status == 401 || reply.Status == 407:
			next, err := chooseChallenge(s.cred, reply)
			if err != nil {
				return nil, s.failure(reply.Status, err.Error())
			}
			// An answer to a nonce of an earlier exchange may be refused for its age alone, whatever stale says.
			if answered && (stale || !next.challenge.Stale) {
				return nil, s.refusal(reply)
			}
			answered, stale = true, answered
			s.answer = next
		case reply.Status == 423 && !longer && expires > 0:
			longer = true
			least, err := strconv.Atoi(reply.Header("Min-Expires"))
			if err != nil || least <= expires || least > maxExpires {
				return nil, s.refusal(reply)
			}
			expires, s.expires = least, least
		case reply.Status == 439 && !s.plain: // RFC 5626 §4.2.1: a registration without outbound is better than none
			s.plain = true
		default:
			return nil, s.refusal(reply)
		}
	}
}

const (
	defaultExpires = 600   // seconds, when the credential does not say
	maxExpires     = 86400 // seconds; a Min-Expires above it is no answer we follow
)

func (s *session) send(ctx context.Context, expires int) (*sip.Response, error) {
	req, err := s.request(expires)
	if err != nil {
		return nil, s.failure(0, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, s.patient)
	defer cancel()
	reply, err := s.conn.Do(ctx, req)
	if err != nil {
		f := networkFailure(err, s.addr.Host)
		f.Registrar = s.addr.String()
		return nil, f
	}
	return reply, nil
}

func (s *session) request(expires int) (sip.Request, error) {
	target := "sip:" + s.cred.Domain
	aor := "<sip:" + s.cred.Username + "@" + s.cred.Domain + ">"
	contact, supported := fmt.Sprintf(`<%s>;+sip.instance="<%s>"`, s.contactURI(), s.cred.Instance), "path"
	if !s.plain {
		contact, supported = contact+";reg-id=1", "outbound, path"
	}
	s.ids.cseq++
	req := sip.Request{Method: "REGISTER", URI: target, Headers: []sip.Header{
		{Name: "From", Value: aor + ";tag=" + s.ids.tag},
		{Name: "To", Value: aor},
		{Name: "Call-ID", Value: s.ids.callID},
		{Name: "CSeq", Value: fmt.Sprintf("%d REGISTER", s.ids.cseq)},
		{Name: "Contact", Value: contact},
		{Name: "Expires", Value: strconv.Itoa(expires)},
		{Name: "Supported", Value: supported},
		{Name: "Allow", Value: "OPTIONS"},
		{Name: "User-Agent", Value: s.agent},
	}}
	if s.answer == nil {
		return req, nil
	}
	value, err := s.answer.value(req.Method, target)
	if err != nil {
		return req, err
	}
	req.Headers = append(req.Headers, sip.Header{Name: s.answer.header, Value: value})
	return req, nil
}

func (s *session) contactURI() string {
	uri := "sip:" + s.cred.Username + "@" + s.conn.LocalAddr().String()
	if s.addr.Transport != string(telephony.UDP) {
		uri += ";transport=" + s.addr.Transport
	}
	return uri
}

func (s *session) refusal(r *sip.Response) *Failure {
	said := sipWords(r.Reason, warningText(r.Header("Warning")))
	f := s.failure(r.Status, sipText(r.Status, said))
	f.said = said
	f.retryAfter = parseRetryAfter(r.Header("Retry-After"))
	return f
}

func (s *session) failure(code int, text string) *Failure {
	f := &Failure{Cause: CauseSIP, Code: code, Text: text, Registrar: s.addr.String()}
	if code == 0 {
		f.Cause = CauseClient
	}
	return f
}

func (s *session) lostFailure() *Failure {
	return &Failure{
		Cause: CauseClosed, Registrar: s.addr.String(), err: s.conn.Err(),
		Text: "the connection to the PBX broke; connecting again",
	}
}

// refreshIn returns when to refresh: somewhere between half and 80 % of the registration's length, so that phones that
// registered together do not refresh together, and a lost refresh leaves time for another.
func (s *session) refreshIn() time.Duration {
	return between(s.granted/2, s.granted*8/10)
}
