package api

import (
	"context"
	"time"

	"demarc/internal/access"
	"demarc/provisioning"
)

type runsOutput struct {
	Body struct {
		Runs []runBody `json:"runs" nullable:"false" doc:"Newest first"`
	}
}

type runOutput struct{ Body runBody }

type runBody struct {
	ID        string    `json:"id"`
	StartedAt time.Time `json:"startedAt"`
	EndedAt   time.Time `json:"endedAt,omitzero" doc:"Absent while it runs"`
	Looked    int       `json:"looked" doc:"Integrated users looked at"`
	Changed   int       `json:"changed"`
	Pending   int       `json:"pending"`
	Failed    int       `json:"failed"`
	Error     string    `json:"error,omitempty" doc:"Why the run stopped"`
}

func (s *server) syncRoutes() {
	run := route("POST", "/v1/sync", "sync", "Sync the account now and wait for the end", "Sync", 200, "session")
	handle(s, run, s.syncNow)
	handle(s, route("GET", "/v1/sync-runs", "list-sync-runs", "List the latest sync runs", "Sync", 200, "session"),
		s.syncRuns)
}

type syncInput struct {
	AllowLoss bool `query:"allowLoss" doc:"Go on although more than a tenth of the users lose their SIP credential"`
}

func (s *server) syncNow(ctx context.Context, in *syncInput) (*runOutput, error) {
	p, _, err := s.may(ctx, access.RunSync)
	if err != nil {
		return nil, err
	}
	var opts []provisioning.SyncOption
	if in.AllowLoss {
		opts = append(opts, provisioning.AllowLoss())
	}
	run, err := s.Sync.SyncNow(ctx, p.Account, opts...)
	if err != nil {
		return nil, err
	}
	return &runOutput{Body: describeRun(run)}, nil
}

func (s *server) syncRuns(ctx context.Context, _ *struct{}) (*runsOutput, error) {
	p, _, err := s.may(ctx, access.ReadSyncRuns)
	if err != nil {
		return nil, err
	}
	all, err := s.Provisioning.SyncRuns(ctx, p.Account, 50)
	if err != nil {
		return nil, err
	}
	out := &runsOutput{}
	out.Body.Runs = []runBody{}
	for _, r := range all {
		out.Body.Runs = append(out.Body.Runs, describeRun(r))
	}
	return out, nil
}

func describeRun(r provisioning.SyncRun) runBody {
	return runBody{
		ID: r.ID, StartedAt: r.StartedAt, EndedAt: r.EndedAt, Looked: r.Looked, Changed: r.Changed, Pending: r.Pending,
		Failed: r.Failed, Error: r.Error,
	}
}
