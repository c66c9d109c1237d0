package softphone

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// report tells the server how registering went, for PBXs whose registrar does not.
type report struct {
	Registered bool   `json:"registered"`
	Code       int    `json:"code"`
	Text       string `json:"text"`
	Cause      Cause  `json:"cause,omitempty"`
	Registrar  string `json:"registrar"`
}

// reporter sends the latest report and drops those that were overtaken. It never makes the phone wait.
type reporter struct {
	client  *apiClient
	profile *Profile
	retry   Retry
	log     *slog.Logger
	latest  chan report // holds one
}

func newReporter(client *apiClient, profile *Profile, retry Retry, log *slog.Logger) *reporter {
	return &reporter{client: client, profile: profile, retry: retry, log: log, latest: make(chan report, 1)}
}

// put replaces the report that waits. It is called from one goroutine only.
func (r *reporter) put(next report) {
	select {
	case <-r.latest:
	default:
	}
	r.latest <- next
}

// run sends until ctx ends.
func (r *reporter) run(ctx context.Context) {
	var sent report
	for first := true; ; first = false {
		var next report
		select {
		case <-ctx.Done():
			return
		case next = <-r.latest:
		}
		if first || next != sent {
			sent = r.deliver(ctx, next)
		}
	}
}

// deliver tries until the server took or refused the report, or a newer one took its place, and returns what it sent.
func (r *reporter) deliver(ctx context.Context, next report) report {
	path := "/v1/devices/" + r.profile.DeviceID + "/registration"
	for failures := 0; ; {
		reply, err := r.client.do(ctx, http.MethodPost, path, r.profile.Token, "", next)
		if err == nil && reply.status < 500 && reply.status != http.StatusTooManyRequests {
			if reply.status >= 400 {
				r.log.Warn("the server refused the registration report", "status", reply.status,
					"why", reply.problem.text(reply.status))
			}
			return next
		}
		wait := r.retry.wait(failures)
		if reply != nil {
			wait = max(wait, reply.retryAfter)
		}
		failures++
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return next
		case next = <-r.latest:
			timer.Stop()
		case <-timer.C:
		}
	}
}
