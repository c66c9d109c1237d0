package registrar

import (
	"context"
	"errors"
	"sync"
	"time"

	"demarc/internal/compact"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/registrar/location"
	"demarc/telephony/registration"
)

const (
	maxBackground = 500    // bindings that one save ends by expiry or closed flows
	maxBacklog    = 10_000 // feed rows kept while the store is away

	// askTime is how long one turn may ask the directory who strangers are, while known phones wait for the next.
	askTime = 50 * time.Millisecond
)

// shard owns the AoRs that hash to it. All its fields but the queue and, for readers, the bindings belong to whoever
// holds working: its worker, nearly always.
type shard struct {
	r        *Registrar
	queue    *queue
	working  sync.Mutex
	refusals refusals

	mu        sync.RWMutex // held to write locations, and by readers of other goroutines
	locations *location.Service
	flows     flowUsers // who registered over a stream
	alarm     compact.Alarm
	closing   []uint64      // closed flows yet to be told of
	serving   []*job        // of this turn
	deciding  bool          // other shards wait for this one before they save
	room      room          // of a turn
	probes    compact.Alarm // who is to be kept reachable behind NAT
	misses    map[registration.Key]int
	before    []registration.Binding // of who is served at once
	slots     []uint32               // of those
	blind     bool                   // the store was away when this turn began: what other nodes made of anything is not known, and nothing is saved

	// What memory knows and the store does not: from when it was away, or since volatile bindings were saved.
	unsaved map[registration.Key]struct{}
	backlog []telephony.RegistrationChange
	saved   time.Time // when volatile bindings were, last

	ahead time.Duration // of what has passed since the process began: by so much the clock was set
}

func newShard(r *Registrar, limit int, now time.Time) *shard {
	return &shard{
		r: r, queue: newQueue(limit, &r.committer.coming), locations: location.New(), flows: newFlowUsers(), alarm: compact.NewAlarm(now), unsaved: make(map[registration.Key]struct{}),
		probes: compact.NewAlarm(now), misses: make(map[registration.Key]int),
	}
}

// run works until the queue has ended and is empty.
func (s *shard) run(ctx context.Context) {
	tick := time.NewTicker(s.r.tick)
	defer tick.Stop()
	for {
		select {
		case <-s.queue.wake:
		case <-tick.C:
		}
		if s.work(ctx) {
			return
		}
	}
}

// work serves what has arrived, and reports whether it was the last.
func (s *shard) work(ctx context.Context) (ended bool) {
	if !s.r.volatile {
		s.queue.attend()
		s.r.committer.gather(ctx)
		s.deciding = true
		defer s.decided()
	}
	s.working.Lock()
	defer s.working.Unlock()
	s.followClock()
	jobs, closed, ended := s.queue.take()
	s.r.committer.taken(len(jobs))
	s.attempt(ctx, jobs)
	s.closing = append(s.closing, closed...) // after what came in on those flows before they closed
	s.suspect(closed)
	for len(s.closing) > 0 && !s.r.storeAway() && s.attempt(ctx, nil) {
	}
	for s.queue.asks() && ended {
		s.attempt(ctx, nil)
	}
	s.saveBehind(ctx, ended)
	return ended
}

// decided says that nothing more goes into the next save, unless it is said already.
func (s *shard) decided() {
	if s.deciding {
		s.deciding = false
		s.r.committer.leave()
	}
}

// attempt runs a turn. A panic that is no single request's ends the turn: whoever has no answer by then gets a 500.
func (s *shard) attempt(ctx context.Context, jobs []*job) (done bool) {
	s.serving = jobs
	defer func() {
		if fault := recover(); fault != nil {
			s.r.panicked(fault)
			for _, j := range s.serving {
				s.answer(j, registration.Reply{Status: 500}, registration.Failed)
			}
			s.room = room{}
		}
		s.serving = nil
	}()
	s.turn(ctx)
	s.room.clear()
	return true
}

// turn serves what has arrived: authenticates each, decides all, saves once, applies, answers.
func (s *shard) turn(ctx context.Context) {
	s.reread(ctx)
	if !s.r.volatile {
		s.payDebts(ctx)
	}
	background := s.newDraft()
	admitted := s.room.admitted[:0]
	for _, j := range s.serving {
		if s.admit(ctx, background, j) {
			admitted = append(admitted, j)
		}
	}
	for began := time.Now(); time.Since(began) < askTime; {
		j, ok := s.queue.takeUnsure()
		if !ok {
			break
		}
		s.serving = append(s.serving, j)
		if s.admit(ctx, background, j) {
			admitted = append(admitted, j)
		}
	}
	s.room.admitted = admitted
	background.changes = append(background.changes, s.queue.takeTold()...)
	s.closeFlows(background)
	s.judge(background)
	s.sweep(background)
	s.commit(ctx, background, admitted)
	s.probe(ctx)
}

// admit authenticates; what is refused is answered at once, known users and unknown ones alike.
func (s *shard) admit(ctx context.Context, d *draft, j *job) (admitted bool) {
	defer s.recover(j, &admitted)
	if j.who.Unsure {
		j.who = authentication.Identity{}
		s.r.senders.Identify(ctx, j.req, &j.who)
	}
	if j.who.Admitted() {
		return true
	}
	s.refuse(d, j, j.who)
	s.answer(j, j.who.Reply, j.who.Outcome)
	return false
}

func (s *shard) refuse(d *draft, j *job, id authentication.Identity) {
	if id.Text == "" || id.Concerns.Account == "" {
		return
	}
	phone := j.req.Flow.Remote.Addr().String()
	if len(j.req.Contacts) > 0 && j.req.Contacts[0].Instance != "" {
		phone = j.req.Contacts[0].Instance
	}
	now := s.now()
	if j.told = j.told || s.refusals.due(id.Concerns.AoR, phone, now); j.told {
		d.changes = append(d.changes, j.req.Refused(id.Concerns.Account, id.Concerns.AoR, id.Reply.Status, id.Text, now))
	}
}

// notePush counts and logs phones that cannot be woken; their timeline has it by the feed.
func (s *shard) notePush(changes []telephony.RegistrationChange) {
	for _, c := range changes {
		if c.Kind == telephony.PushMalformed {
			s.r.tally.push.Add(1)
			s.r.log.Info("a phone registered with push parameters that cannot be used", "aor", c.AoR.String(),
				"user_agent", c.UserAgent, "fault", c.Text)
		}
	}
}

// commit decides the jobs on top of the background and saves all of it at once. When something in it cannot be stored,
// each part is tried alone, so that one message never fails another's.
func (s *shard) commit(ctx context.Context, background *draft, jobs []*job) {
	d := background.clone()
	answers := s.decide(d, jobs)
	var err error
	if s.behind() {
		for _, of := range d.bindings {
			s.note(of.before, of.after)
		}
		s.owe(d.changes)
	} else {
		err = s.save(ctx, d)
	}
	switch {
	case err == nil:
		s.apply(d)
		s.r.announce(d.changes)
		s.answerAll(answers)
	case errors.Is(err, ErrStoreAway):
		s.serveFromMemory(background, jobs)
	case len(jobs) == 0:
		s.giveUp(d, err)
	case len(jobs) == 1 && background.batch().Empty():
		s.r.log.Error("a registration cannot be stored", "aor", jobs[0].req.To.String(), "error", err)
		s.answer(jobs[0], registration.Reply{Status: 500}, registration.Failed)
	default:
		s.commit(ctx, background, nil)
		for _, j := range jobs {
			s.commit(ctx, s.newDraft(), []*job{j})
		}
	}
}

// giveUp keeps in memory what no store takes.
func (s *shard) giveUp(d *draft, err error) {
	lost := len(d.changes) + len(s.backlog)
	s.r.log.Error("registration changes cannot be stored and are given up", "changes", lost, "error", err)
	s.r.tally.dropped.Add(uint64(lost))
	s.backlog = nil
	clear(s.unsaved)
	s.apply(d)
	s.r.announce(d.changes)
}

// save saves the draft with what is still unsaved.
func (s *shard) save(ctx context.Context, d *draft) error {
	batch := d.batch()
	if batch.Empty() {
		return nil
	}
	err := s.submit(ctx, batch)
	if err == nil {
		s.backlog = nil
		clear(s.unsaved)
	}
	return err
}

// submit saves a batch, and notes what that tells of the store.
func (s *shard) submit(ctx context.Context, batch Batch) error {
	if s.blind || s.r.storeAway() {
		return ErrStoreAway
	}
	ctx, cancel := context.WithTimeout(ctx, s.r.timeout)
	defer cancel()
	err := s.r.committer.save(ctx, batch, s.decided)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = errors.Join(ErrStoreAway, err)
	}
	switch {
	case errors.Is(err, ErrStoreAway):
		s.r.storeFailed("bindings", err)
	case err == nil && s.r.feed != nil && len(batch.Changes) > 0:
		s.r.feed.Wake()
	}
	return err
}

// apply makes the draft the truth in memory.
func (s *shard) apply(d *draft) {
	s.r.departed.note(d.changes)
	s.mu.Lock()
	defer s.mu.Unlock()
	for aor, of := range d.bindings {
		if of.short {
			s.locations.Prolong(aor, of.after)
		} else {
			s.put(aor, of.before, of.after)
		}
	}
}
