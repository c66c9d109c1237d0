package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// healthHandler serves /metrics, /livez and /readyz. Live means that the process answers; ready means that it can do its
// work now.
func (g *Gateway) healthHandler() http.Handler {
	registry := prometheus.NewRegistry()
	live := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/gc/heap/live:bytes$")}
	registry.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(live)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		metrics{g})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeHealth(w, map[string]string{}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { writeHealth(w, g.unready(r.Context())) })
	return mux
}

// unready returns what does not work, by name.
func (g *Gateway) unready(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	faults := map[string]string{}
	if err := g.db.Ping(ctx); err != nil {
		faults["store"] = err.Error()
	}
	if err := g.certificates.unready(g.now()); err != nil {
		faults["certificate"] = err.Error()
	}
	return faults
}

func writeHealth(w http.ResponseWriter, faults map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	status := "ok"
	if len(faults) > 0 {
		status = "unavailable"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "faults": faults}) // the client may be gone
}
