package softphone

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// outcome is how registering went, as the server knows it.
type outcome string

const (
	reportRegistered outcome = "registered"
	reportFailed     outcome = "failed"
	reportStopped    outcome = "stopped"
)

// report tells the server how registering went, for PBXs whose registrar does not.
type report struct {
	Outcome   outcome `json:"outcome"`
	Expires   int     `json:"expires,omitempty"` // seconds that a registration is good for
	AgeMS     int64   `json:"ageMs,omitempty"`   // how long ago it happened, when it is sent
	Code      int     `json:"code"`
	Text      string  `json:"text"`
	Cause     Cause   `json:"cause,omitempty"`
	Registrar string  `json:"registrar"`

	at time.Time
}

// news reports whether the server learns something from r that before did not say. A registration is always told
// again: a refresh comes after half of the time for which the last one was good, and the next would come too late.
func (r report) news(before report) bool {
	before.at = r.at
	return r.Outcome == reportRegistered || r != before
}

// aged returns the report as it is sent at now.
func (r report) aged(now time.Time) report {
	r.AgeMS = now.Sub(r.at).Milliseconds()
	return r
}

// reporter sends the latest report and drops those that were overtaken. It never makes the phone wait.
type reporter struct {
	client  *apiClient
	profile *Profile
	retry   Retry
	log     *slog.Logger
	latest  chan report // holds one
	told    bool        // something was put; belongs to the goroutine that puts
}

func newReporter(client *apiClient, profile *Profile, retry Retry, log *slog.Logger) *reporter {
	return &reporter{client: client, profile: profile, retry: retry, log: log, latest: make(chan report, 1)}
}

// put replaces the report that waits. It is called from one goroutine only.
func (r *reporter) put(next report) {
	next.at, r.told = time.Now(), true
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
		if first || next.news(sent) {
			sent = r.deliver(ctx, next)
		}
	}
}

// deliver tries until the server took or refused the report, or a newer one took its place, and returns what it sent.
func (r *reporter) deliver(ctx context.Context, next report) report {
	for failures := 0; ; {
		reply, err := r.send(ctx, next)
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

func (r *reporter) send(ctx context.Context, next report) (*apiReply, error) {
	path := "/v1/devices/" + r.profile.DeviceID + "/registration"
	return r.client.do(ctx, http.MethodPost, path, r.profile.Token, "", next.aged(time.Now()))
}

// farewell says that the phone stopped on purpose, once and not for long: a server that does not hear it waits until
// the last registration has run out. It comes after run has ended.
func (r *reporter) farewell(ctx context.Context) {
	if !r.told {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(r.retry.Answer, 3*time.Second))
	defer cancel()
	reply, err := r.send(ctx, report{Outcome: reportStopped, at: time.Now()})
	switch {
	case err != nil:
		r.log.Warn("the server was not told that the phone stopped", "why", err)
	case reply.status >= 400:
		r.log.Warn("the server refused to hear that the phone stopped", "status", reply.status,
			"why", reply.problem.text(reply.status))
	}
}
