package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"demarc/api"
	"demarc/internal/account"
	"demarc/internal/config"
	storeregistrar "demarc/store/registrar"
	"demarc/telephony/nodes"
	"demarc/telephony/trace"
)

// How long other nodes are waited for, and for how long those are named that were heard of last.
const (
	askTimeout   = 3 * time.Second
	missingAfter = 6 * announceEvery
	forgetAfter  = 24 * time.Hour
	maxPages     = 32 // of one node, for one question
)

// traceSubject is what nodes ask each other about.
const traceSubject = "trace"

// tracer lets the API look into what all nodes remember; nil where nobody remembers anything.
func (g *Gateway) tracer() api.Tracer {
	if g.telephony.trace == nil && g.nodes == nil {
		return nil
	}
	return messages{g}
}

type messages struct{ g *Gateway }

// Trace returns the messages of an extension or AoR of the account, or of a Call-ID within it, of this node and the others.
func (m messages) Trace(ctx context.Context, id account.ID, of string, after trace.Cursor) (api.Traced, error) {
	domain, err := m.domain(ctx, id)
	if err != nil || domain == "" {
		return api.Traced{Next: after}, err
	}
	told := gathering{Traced: api.Traced{Next: maps.Clone(after)}}
	question := func(node string) trace.Question { return trace.Question{Domain: domain, Of: of, After: after[node]} }
	if own := m.g.cfg.Telephony.Node; m.g.telephony.edge != nil {
		told.take(own, question(own), func(q trace.Question) (trace.Page, error) { return m.g.telephony.trace.Find(q), nil })
	}
	others, err := m.others(ctx)
	if err != nil {
		return api.Traced{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, n := range others {
		if silent := m.g.now().Sub(n.SeenAt); silent > missingAfter {
			told.unasked(n.Name, "not heard of since "+n.SeenAt.UTC().Format(time.RFC3339)+
				": it is down or cut off from the store")
			continue
		}
		asking.Go(func() {
			told.take(n.Name, question(n.Name), func(q trace.Question) (trace.Page, error) {
				return m.ask(bounded, n.Name, q)
			})
		})
	}
	asking.Wait()
	return told.sorted(), nil
}

// domain returns the SIP domain of an account, or nothing.
func (m messages) domain(ctx context.Context, id account.ID) (string, error) {
	accounts, err := m.g.access.Accounts(ctx)
	for _, a := range accounts {
		if a.ID == id {
			return a.Domain, nil
		}
	}
	return "", err
}

// others returns the nodes that may remember something, but for this one.
func (m messages) others(ctx context.Context) ([]storeregistrar.Node, error) {
	if m.g.nodes == nil {
		return nil, nil
	}
	all, err := storeregistrar.New(m.g.db, m.g.sealer).Present(ctx, m.g.now().Add(-forgetAfter))
	if !m.g.cfg.Has(config.RoleTelephony) {
		return all, err // who has no phones is none of them, whatever it is called
	}
	return slices.DeleteFunc(all, func(n storeregistrar.Node) bool { return n.Name == m.g.cfg.Telephony.Node }), err
}

func (m messages) ask(ctx context.Context, node string, q trace.Question) (trace.Page, error) {
	question, err := json.Marshal(q)
	if err != nil {
		return trace.Page{}, err
	}
	body, err := m.g.nodes.Ask(ctx, node, traceSubject, question)
	if err != nil {
		return trace.Page{}, err
	}
	var page trace.Page
	return page, json.Unmarshal(body, &page)
}

// answer answers what another node asks. Who asks is a node of ours, and has looked whose the domain is.
func (g *Gateway) answer(ctx context.Context, subject string, question []byte) ([]byte, error) {
	if subject == lampsSubject && g.telephony.teller != nil {
		return g.tellDialogs(ctx, question)
	}
	if subject != traceSubject {
		return nil, nodes.ErrSubject
	}
	var q trace.Question
	if err := json.Unmarshal(question, &q); err != nil {
		return nil, err
	}
	return json.Marshal(g.telephony.trace.Find(q))
}

// gathering is what several nodes tell at the same time.
type gathering struct {
	mu sync.Mutex
	api.Traced
}

// take reads all pages of one node.
func (t *gathering) take(node string, q trace.Question, ask func(trace.Question) (trace.Page, error)) {
	for range maxPages {
		page, err := ask(q)
		switch {
		case err != nil:
			t.unasked(node, err.Error())
			return
		case page.Off:
			t.unasked(node, "it remembers no SIP messages: set telephony.trace_memory there")
			return
		case len(page.Entries) == 0:
			return
		}
		q.After = page.Entries[len(page.Entries)-1].Seq
		t.add(node, page.Entries)
		if !page.More {
			return
		}
	}
}

func (t *gathering) add(node string, entries []trace.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range entries {
		t.Messages = append(t.Messages, api.TracedMessage{Node: node, Entry: e})
	}
	t.Next[node] = entries[len(entries)-1].Seq
}

func (t *gathering) unasked(node, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Unasked = append(t.Unasked, api.Unasked{Node: node, Reason: why})
}

// sorted puts everything in the order of the nodes' clocks; what one node tells stays in its order.
func (t *gathering) sorted() api.Traced {
	slices.SortFunc(t.Messages, func(a, b api.TracedMessage) int {
		if a.Node == b.Node {
			return cmp.Compare(a.Seq, b.Seq)
		}
		return a.At.Compare(b.At)
	})
	slices.SortFunc(t.Unasked, func(a, b api.Unasked) int { return cmp.Compare(a.Node, b.Node) })
	return t.Traced
}
