package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"demarc/gateway"
	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/registrar"
	"demarc/telephony/registration"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// people is a directory of one domain, which may be away.
type people struct {
	away bool
	srtp map[string]string // by user
}

func (p *people) Domains(context.Context) (map[string]authentication.Domain, error) {
	d := authentication.Domain{Account: "acc_1", Realm: "d"}
	for _, own := range p.srtp {
		if own != "" {
			d.SRTP = append(d.SRTP, own)
		}
	}
	return map[string]authentication.Domain{"d": d}, nil
}

func (p *people) Subscriber(_ context.Context, aor telephony.AoR) (authentication.Subscriber, error) {
	own, ok := p.srtp[aor.User]
	switch {
	case p.away:
		return authentication.Subscriber{}, registrar.ErrStoreAway
	case !ok:
		return authentication.Subscriber{}, authentication.ErrUnknown
	}
	return authentication.Subscriber{Account: "acc_1", AoR: aor, SRTP: own,
		Hashes: []digest.Hash{digest.NewHash(digest.MD5, aor.User, "d", "pw")}}, nil
}

func (p *people) Version(context.Context) (int64, error)                       { return 1, nil }
func (p *people) Load(context.Context, string) ([]registration.Binding, error) { return nil, nil }
func (p *people) Save(context.Context, registrar.Batch) error                  { return errors.New("never") }

// noted collects what is written into timelines.
type noted []string

func (n *noted) Note(aor telephony.AoR, e timeline.Entry) {
	*n = append(*n, string(e.Account)+" "+aor.User+" "+string(e.Kind)+": "+e.Text)
}

// A user whose setting cannot be looked up is never offered weaker media than it may ask for. What is known, and where nobody has a
// setting of his own, stays as it is.
func TestMediaIsNotWeakerWhileTheDirectoryIsAway(t *testing.T) {
	for name, c := range map[string]struct {
		own  map[string]string
		all  sdp.Policy
		user string
		here bool
		want sdp.Policy
		told bool
	}{
		"the directory answers":             {map[string]string{"1": "required", "2": "off"}, sdp.Preferred, "2", true, sdp.Off, false},
		"it answers, as for all":            {map[string]string{"1": "required", "2": ""}, sdp.Off, "2", true, sdp.Off, false},
		"it answers that there is nobody":   {map[string]string{"1": "required"}, sdp.Off, "9", true, sdp.Off, false},
		"away, known from before":           {map[string]string{"1": "required", "known": "off"}, sdp.Preferred, "known", false, sdp.Off, false},
		"away, some require it":             {map[string]string{"1": "required", "2": "off"}, sdp.Preferred, "2", false, sdp.Required, true},
		"away, some prefer it":              {map[string]string{"1": "preferred"}, sdp.Off, "2", false, sdp.Preferred, true},
		"away, some need less than all":     {map[string]string{"1": "off", "2": "preferred"}, sdp.Required, "2", false, sdp.Required, false},
		"away, nobody has one of their own": {map[string]string{"1": "", "2": ""}, sdp.Off, "2", false, sdp.Off, false},
		"away, and nothing is configured":   {map[string]string{"1": "off"}, "", "2", false, sdp.Preferred, false},
	} {
		t.Run(name, func(t *testing.T) {
			directory, log, notes := &people{srtp: c.own}, &bytes.Buffer{}, &noted{}
			r := registrar.New(registrar.Config{Node: "n", Directory: directory, Bindings: directory, Tick: time.Hour})
			if err := r.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := r.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			}()
			if _, err := r.SRTP(t.Context(), telephony.NewAoR("known", "d")); err != nil && !errors.Is(err, authentication.ErrUnknown) {
				t.Fatal(err)
			}
			directory.away = !c.here
			way := signal.Way{AoR: telephony.NewAoR(c.user, "d")}
			if got := gateway.Protect(r, c.all, notes, slog.New(slog.NewTextHandler(log, nil)), way); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			told := len(*notes) == 1 && strings.HasPrefix((*notes)[0], "acc_1 "+c.user+" warning: The directory did not answer")
			if told != c.told || strings.Contains(log.String(), "srtp setting is not known") != c.told {
				t.Errorf("told %q, log %q, want that: %v", *notes, log, c.told)
			}
		})
	}
}
