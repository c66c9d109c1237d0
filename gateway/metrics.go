package gateway

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics turns the counters of the parts into Prometheus metrics when they are asked for.
type metrics struct{ g *Gateway }

var (
	sipMessages = describe("sip_requests_total", "SIP requests by listener, method and status (0: no answer).",
		"listener", "method", "status")
	sipSent = describe("sip_requests_sent_total", "SIP requests sent to phones by listener, method and status (0: no answer).",
		"listener", "method", "status")
	sipRejects        = describe("sip_rejected_total", "Datagrams, messages and connections refused before a request.", "listener", "reason")
	sipHandshakes     = describe("sip_tls_handshake_failures_total", "TLS handshakes that failed, by reason.", "listener", "reason")
	sipAccepted       = describe("sip_connections_accepted_total", "Connections accepted.", "listener")
	sipOpen           = describe("sip_connections_open", "Connections open now.", "listener")
	sipHalfOpen       = describe("sip_connections_half_open", "Of those open now, connections that have sent no message yet.")
	sipRemotes        = describe("sip_udp_remotes", "Addresses that are remembered over UDP now.", "listener")
	sipTransactions   = describe("sip_transactions", "Transactions of calls now, those included that only absorb retransmissions, by our side of them (server, client).", "side")
	sipKeepAlives     = describe("sip_keepalives_total", "Keep-alives that came from phones (CRLF, STUN, pings of WebSockets).")
	sipTwice          = describe("sip_replies_dropped_total", "Replies given twice or too late: a fault of the program.")
	sipBans           = describe("sip_bans_total", "Sources that were banned for what they did while nobody there was known.")
	sipPanics         = describe("sip_panics_total", "What ended in a fault of the program, by the part that it happened in.", "in")
	registers         = describe("registrar_requests_total", "REGISTER requests by outcome.", "outcome")
	bindings          = describe("registrar_bindings", "Bindings that stand now.")
	subscriptions     = describe("sip_subscriptions", "Event subscriptions that stand now, by package.", "event")
	notifies          = describe("sip_notifies_total", "NOTIFYs by outcome.", "outcome")
	lampsLost         = describe("dialog_nodes_lost_total", "Times that another node did not tell for long who is in a call there, so that its lamps went out here.")
	stranded          = describe("registrar_stranded_total", "Phones of other nodes that became unreachable because their node stopped or failed.")
	pushFaults        = describe("registrar_push_faults_total", "Phones that registered with push parameters that cannot be used.")
	lostChanges       = describe("registrar_dropped_changes_total", "Feed rows given up because the store was away for long.")
	storeAway         = describe("registrar_store_away", "1 while the registrar works from memory alone.")
	callsLive         = describe("calls_live", "Calls now.")
	callsBegun        = describe("calls_total", "Calls by what became of them up to now (begun, answered, refused).", "outcome")
	callHistory       = describe("call_history_dropped_total", "What was lost of calls because the store was away for long.", "what")
	callOrphans       = describe("call_orphans_total", "Calls of nodes that did not come back, ended in history by this one.")
	httpRefused       = describe("http_connections_refused_total", "Connections closed as they came, since all or a source's had their most.", "listener")
	stepFaults        = describe("background_failures_total", "Steps of regular work that failed and were tried again; the log says why.", "work")
	certificateFaults = describe("certificate_reload_failures_total", "Changes of tls.certificate_file that could not be used.")
	certificate       = describe("certificate_expiry_seconds", "When the server certificate ends, in Unix seconds.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("demarc_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sipMessages, sipSent, sipRejects, sipHandshakes, sipAccepted, sipOpen, sipHalfOpen, sipRemotes, sipTransactions, sipKeepAlives, sipTwice, sipBans, sipPanics, registers,
		bindings, stranded, pushFaults, subscriptions, lampsLost, notifies, lostChanges, storeAway, certificate, certificateFaults,
		callsLive, callsBegun, callHistory, callOrphans, httpRefused, stepFaults} {
		ch <- d
	}
	for _, d := range mediaDescriptions {
		ch <- d
	}
}

// samples takes what is measured now.
type samples chan<- prometheus.Metric

func (s samples) counter(d *prometheus.Desc, v uint64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (s samples) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	s := samples(ch)
	if at := m.g.certificates.source.Expiry(); !at.IsZero() {
		s.gauge(certificate, float64(at.Unix()))
	}
	if f := m.g.certificates.files; f != nil {
		s.counter(certificateFaults, f.Failures())
	}
	m.g.listeners.limits.Range(func(name, l any) bool {
		s.counter(httpRefused, l.(*limited).refused.Load(), name.(string))
		return true
	})
	m.g.failures.Range(func(name, n any) bool {
		s.counter(stepFaults, n.(*atomic.Uint64).Load(), name.(string))
		return true
	})
	if n := m.g.nodes; n != nil {
		s.counter(sipPanics, n.Panics(), "nodes")
	}
	if m.g.telephony.edge != nil {
		m.edge(s)
	}
	if m.g.telephony.events != nil {
		m.events(s)
	}
	if m.g.telephony.registrar != nil {
		m.registrar(s)
	}
	if m.g.telephony.exchange != nil {
		m.calls(s)
		m.media(s)
	}
}

func (m metrics) edge(s samples) {
	c := m.g.telephony.edge.Counters()
	for k, n := range c.Messages {
		s.counter(sipMessages, n, k.Listener, k.Method, strconv.Itoa(k.Status))
	}
	for k, n := range c.Sent {
		s.counter(sipSent, n, k.Listener, k.Method, strconv.Itoa(k.Status))
	}
	for k, n := range c.Rejects {
		s.counter(sipRejects, n, k.Listener, k.Reason)
	}
	for k, n := range c.Handshakes {
		s.counter(sipHandshakes, n, k.Listener, k.Reason)
	}
	for listener, n := range c.Accepted {
		s.counter(sipAccepted, n, listener)
	}
	for listener, n := range c.Open {
		s.gauge(sipOpen, float64(n), listener)
	}
	s.gauge(sipHalfOpen, float64(c.HalfOpen))
	for listener, n := range c.UDPFlows {
		s.gauge(sipRemotes, float64(n), listener)
	}
	s.gauge(sipTransactions, float64(c.ServerTxs), "server")
	s.gauge(sipTransactions, float64(c.ClientTxs), "client")
	s.counter(sipKeepAlives, c.KeepAlives)
	s.counter(sipTwice, c.TwiceOrLate)
	s.counter(sipBans, c.Bans)
	s.counter(sipPanics, c.Panics, "edge")
}

func (m metrics) events(s samples) {
	c := m.g.telephony.events.Counters()
	for event, n := range c.Subscriptions {
		s.gauge(subscriptions, float64(n), event)
	}
	s.counter(notifies, c.Notified, "taken")
	s.counter(notifies, c.Failed, "failed")
	s.counter(sipPanics, c.Panics, "events")
	if f := m.g.telephony.follower; f != nil {
		s.counter(lampsLost, f.Losses())
	}
}

func (m metrics) registrar(s samples) {
	c := m.g.telephony.registrar.Counters()
	for outcome, n := range c.Registers {
		s.counter(registers, n, outcome)
	}
	s.gauge(bindings, float64(c.Bindings))
	s.counter(sipPanics, c.Panics, "registrar")
	s.counter(stranded, c.Stranded)
	s.counter(pushFaults, c.PushFaults)
	s.counter(lostChanges, c.DroppedChanges)
	away := 0.0
	if c.StoreAway {
		away = 1
	}
	s.gauge(storeAway, away)
}

func (m metrics) calls(s samples) {
	c := m.g.telephony.exchange.Counters()
	s.gauge(callsLive, float64(c.Live))
	s.counter(callsBegun, c.Begun, "begun")
	s.counter(callsBegun, c.Answered, "answered")
	s.counter(callsBegun, c.Refused, "refused")
	s.counter(callHistory, c.Dropped, "record")
	s.counter(callHistory, c.Fenced, "record of a call that another node had ended")
	s.counter(callOrphans, c.Orphans)
	s.counter(callHistory, m.g.telephony.notes.dropped.Load(), "timeline entry")
	s.counter(sipPanics, c.Panics, "exchange")
}
