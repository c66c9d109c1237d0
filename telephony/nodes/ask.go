package nodes

import (
	"context"
	"errors"
	"fmt"

	"demarc/telephony/sip"
	"demarc/telephony/wire"
)

// Errors of Ask and of Config.Answer.
var (
	ErrSubject = errors.New("nodes: no subject of that name")
	ErrRefused = errors.New("the node does not answer this: it may run another version")
)

// Ask puts a question to another node, of at most 64 KiB as its answer is, and returns the answer.
func (n *Nodes) Ask(ctx context.Context, node, subject string, question []byte) ([]byte, error) {
	conn, err := n.connect(ctx, node)
	if err != nil {
		return nil, err
	}
	to := "sip:" + subject + "@" + node
	response, err := conn.Do(ctx, sip.Request{Method: "MESSAGE", URI: to, Body: question, Headers: []sip.Header{
		{Name: "From", Value: "<sip:" + n.cfg.Node + ">;tag=" + sip.NewToken()}, {Name: "To", Value: "<" + to + ">"},
		{Name: "Call-ID", Value: sip.NewToken()}, {Name: "CSeq", Value: "1 MESSAGE"},
		{Name: "Content-Type", Value: "application/json"},
	}})
	if err != nil {
		return nil, err
	}
	if response.Status != 200 {
		return nil, fmt.Errorf("%w (%d %s)", ErrRefused, response.Status, response.Reason)
	}
	return response.Body, nil
}

// question reports whether a message is for this node itself: what is for a phone has a Route.
func (n *Nodes) question(m *wire.Message) (subject string, ok bool) {
	uri, fine := m.URI()
	if !m.Is("MESSAGE") || len(m.Route) > 0 || !fine || string(uri.Host) != n.cfg.Node {
		return "", false
	}
	return string(uri.User), true
}

func (n *Nodes) answer(subject string, question []byte) sip.Answer {
	if n.cfg.Answer == nil {
		return sip.Answer{Status: 404}
	}
	body, err := n.cfg.Answer(n.life, subject, question)
	switch {
	case errors.Is(err, ErrSubject):
		return sip.Answer{Status: 404}
	case err != nil:
		n.cfg.Log.Warn("another node's question could not be answered", "subject", subject, "error", err)
		return sip.Answer{Status: 500}
	}
	return sip.Answer{Status: 200, Body: body, Headers: []sip.Header{{Name: "Content-Type", Value: "application/json"}}}
}
