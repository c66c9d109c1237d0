package gateway

import (
	"strconv"

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
	sipBans           = describe("sip_bans_total", "Sources that were banned for what they did while nobody there was known.")
	sipPanics         = describe("sip_panics_total", "What ended in a fault of the program, by the part that it happened in.", "in")
	registers         = describe("registrar_requests_total", "REGISTER requests by outcome.", "outcome")
	bindings          = describe("registrar_bindings", "Bindings that stand now.")
	subscriptions     = describe("sip_subscriptions", "Event subscriptions that stand now, by package.", "event")
	notifies          = describe("sip_notifies_total", "NOTIFYs by outcome.", "outcome")
	pushFaults        = describe("registrar_push_faults_total", "Phones that registered with push parameters that cannot be used.")
	lostChanges       = describe("registrar_dropped_changes_total", "Feed rows given up because the store was away for long.")
	storeAway         = describe("registrar_store_away", "1 while the registrar works from memory alone.")
	certificateFaults = describe("certificate_reload_failures_total", "Changes of tls.certificate_file that could not be used.")
	certificate       = describe("certificate_expiry_seconds", "When the server certificate ends, in Unix seconds.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("demarc_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sipMessages, sipSent, sipRejects, sipHandshakes, sipAccepted, sipOpen, sipBans, sipPanics, registers,
		bindings, pushFaults, subscriptions, notifies, lostChanges, storeAway, certificate, certificateFaults} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m metrics) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	if at := m.g.certificates.source.Expiry(); !at.IsZero() {
		gauge(certificate, float64(at.Unix()))
	}
	if f := m.g.certificates.files; f != nil {
		counter(certificateFaults, f.Failures())
	}
	if e := m.g.telephony.edge; e != nil {
		c := e.Counters()
		for k, n := range c.Messages {
			counter(sipMessages, n, k.Listener, k.Method, strconv.Itoa(k.Status))
		}
		for k, n := range c.Sent {
			counter(sipSent, n, k.Listener, k.Method, strconv.Itoa(k.Status))
		}
		for k, n := range c.Rejects {
			counter(sipRejects, n, k.Listener, k.Reason)
		}
		for k, n := range c.Handshakes {
			counter(sipHandshakes, n, k.Listener, k.Reason)
		}
		for listener, n := range c.Accepted {
			counter(sipAccepted, n, listener)
		}
		for listener, n := range c.Open {
			gauge(sipOpen, float64(n), listener)
		}
		counter(sipBans, c.Bans)
		counter(sipPanics, c.Panics, "edge")
	}
	if n := m.g.nodes; n != nil {
		counter(sipPanics, n.Panics(), "nodes")
	}
	if e := m.g.telephony.events; e != nil {
		c := e.Counters()
		for event, n := range c.Subscriptions {
			gauge(subscriptions, float64(n), event)
		}
		counter(notifies, c.Notified, "taken")
		counter(notifies, c.Failed, "failed")
		counter(sipPanics, c.Panics, "events")
	}
	if r := m.g.telephony.registrar; r != nil {
		c := r.Counters()
		for outcome, n := range c.Registers {
			counter(registers, n, outcome)
		}
		gauge(bindings, float64(c.Bindings))
		counter(sipPanics, c.Panics, "registrar")
		counter(pushFaults, c.PushFaults)
		counter(lostChanges, c.DroppedChanges)
		away := 0.0
		if c.StoreAway {
			away = 1
		}
		gauge(storeAway, away)
	}
}
