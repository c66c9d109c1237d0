package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"demarc/telephony/media"
)

var (
	mediaLegs    = describe("media_legs", "Legs whose media is open now.")
	mediaPorts   = describe("media_ports", "Pairs of media ports by state (used, free).", "state")
	mediaRelayed = describe("media_packets_relayed_total", "Packets sent on from one leg to another.")
	mediaRefused = describe("media_packets_refused_total", "Packets that were not let in, by why.", "reason")
	mediaOneWay  = describe("media_one_way_total", "Legs that were not heard while the other one was, by what could be seen of why.", "cause")
	mediaEnds    = describe("media_failures_total", "Legs whose media failed: nothing came any more, or it could not be secured.", "cause")
	mediaJitter  = describe("media_jitter_seconds", "Jitter of legs that have ended, of what came from the phone and of what went there.", "direction")
	mediaLoss    = describe("media_loss_ratio", "Share of lost packets of legs that have ended, from the phone and to it.", "direction")
	mediaTrip    = describe("media_round_trip_seconds", "Round trip of legs that have ended, by RTCP.")
)

// mediaDescriptions are all of them.
var mediaDescriptions = []*prometheus.Desc{
	mediaLegs, mediaPorts, mediaRelayed, mediaRefused, mediaOneWay, mediaEnds, mediaJitter, mediaLoss, mediaTrip,
}

func (s samples) distribution(d *prometheus.Desc, v media.Distribution, labels ...string) {
	buckets := make(map[float64]uint64, len(v.Bounds))
	for i, bound := range v.Bounds {
		buckets[bound] = v.UpTo[i]
	}
	s <- prometheus.MustNewConstHistogram(d, v.Count, v.Sum, buckets, labels...)
}

func (m metrics) media(s samples) {
	c := m.g.telephony.media.Counters()
	s.gauge(mediaLegs, float64(c.Legs))
	s.gauge(mediaPorts, float64(c.Ports-c.PortsFree), "used")
	s.gauge(mediaPorts, float64(c.PortsFree), "free")
	s.counter(mediaRelayed, c.Relayed)
	for reason, n := range c.Refused {
		s.counter(mediaRefused, n, reason)
	}
	for cause, n := range c.OneWay {
		s.counter(mediaOneWay, n, cause)
	}
	s.counter(mediaEnds, c.Stopped, "timeout")
	s.counter(mediaEnds, c.Unsecured, "security")
	s.distribution(mediaJitter, c.Quality.Jitter, "from_phone")
	s.distribution(mediaJitter, c.Quality.JitterThere, "to_phone")
	s.distribution(mediaLoss, c.Quality.Loss, "from_phone")
	s.distribution(mediaLoss, c.Quality.LossThere, "to_phone")
	s.distribution(mediaTrip, c.Quality.RoundTrip)
}
