package exchange

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"demarc/internal/account"
	"demarc/internal/timeline"
	"demarc/telephony"
	"demarc/telephony/callswitch"
	"demarc/telephony/sdp"
	"demarc/telephony/signal"
)

// What Contacts and Media answer, wrapped with detail.
var (
	// ErrUnknown says that there is no such user.
	ErrUnknown = errors.New("nobody here has that address")
	// ErrNoPorts says that the media has no room for another leg.
	ErrNoPorts = errors.New("all media ports are taken: raise the range, or spread the calls")
)

// Signalling sends what the edge sends for calls. Nothing of it blocks, and each request ends with one final Response.
type Signalling interface {
	Send(signal.Outgoing)
	Cancel(tx signal.TxID, reason string)
	Reply(signal.Reply)
}

// Gathering is what Signalling may be too: what is sent between Hold and Release may go out together.
type Gathering interface {
	Hold()
	Release()
}

// Media has our side of each leg's media. Nothing of it blocks.
type Media interface {
	// Open takes ports and makes keys. ErrNoPorts: 503.
	Open(telephony.MediaOpening) (sdp.Local, error)
	// Agree tells what offer and answer have settled, each time.
	Agree(telephony.MediaID, sdp.Agreed) error
	// Close gives the ports back.
	Close(telephony.MediaID) telephony.MediaReport
}

// Paths decides what a leg hears. Nothing of it blocks.
type Paths interface {
	Relay(a, b telephony.MediaID)
	Play(id telephony.MediaID, what string, loop bool)
	Mix(ids ...telephony.MediaID)
	Hush(id telephony.MediaID)
}

// Contacts knows the phones of a user, from memory: those that are asleep have no ways.
type Contacts interface {
	// Targets returns ErrUnknown for who is not there.
	Targets(context.Context, account.ID, telephony.AoR) ([]signal.Target, error)
}

// Next decides where a call goes: when it begins, when a phone sends it on, when somebody transfers it, and when nobody
// answered. It answers from memory.
type Next interface {
	// Next refuses with a zero Refusal when it knows no other way than the one that failed.
	Next(context.Context, callswitch.Question) callswitch.Routed
}

// Waker wakes phones that sleep behind a closed connection; Registered tells when they are back. It does not block.
type Waker interface {
	Wake(context.Context, account.ID, telephony.AoR, signal.Target) error
}

// History keeps calls across restarts.
type History interface {
	// Write saves changes; of several of one call the last counts, and an older epoch changes nothing. It returns how many calls were
	// left as they are because of that: another node has ended them.
	Write(context.Context, []telephony.CallChange) (fenced int, err error)
	// Open returns the calls that have not ended, of the node and of others that can be no more because a store like this has one node.
	Open(ctx context.Context, node string) ([]telephony.CallChange, error)
}

// Orphans are the calls of nodes that do not come back.
type Orphans interface {
	// Holders returns the nodes that have calls which have not ended, and of each the time by its own clock when it last said that it is
	// there, in milliseconds since 1970: 0 when it has stopped, or never did.
	Holders(context.Context) (map[string]int64, error)
	// End ends up to limit calls of a node that has not said anything since its last sign, and returns them with the state that was kept of
	// them. What another node is just ending is left to that; none when the node has said that it is there.
	End(ctx context.Context, node string, sign int64, limit int, end func(telephony.CallRecord) telephony.CallRecord) ([]telephony.CallChange, error)
}

// Habits keeps how phones protect the media of the calls that they begin, for all nodes.
type Habits interface {
	// KeepHabits saves habits; an older one of the same phone changes nothing.
	KeepHabits(context.Context, []telephony.MediaHabit) error
	// Habits returns the newest limit of those that were seen at a time or later.
	Habits(ctx context.Context, since time.Time, limit int) ([]telephony.MediaHabit, error)
}

// Timeline takes what happened to a user, without his id: the AoR names him. It does not block.
type Timeline interface {
	Note(telephony.AoR, timeline.Entry)
}

// Ports are what an exchange works with. Next, Waker, Orphans, Habits, Timeline and Watchers may be nil.
type Ports struct {
	Signalling Signalling
	Media      Media
	Paths      Paths
	Contacts   Contacts
	Next       Next // nil: all phones of who was dialled
	Waker      Waker
	History    History
	Orphans    Orphans // nil: there is no other node
	Habits     Habits  // nil: they are forgotten with the process
	Timeline   Timeline
	Watchers   func(telephony.AoR) // the user's dialogs have changed; does not block
}

// Config is how an exchange works.
type Config struct {
	Node string
	Key  []byte // of the tokens in our Contacts: the same on all nodes
	// Host is host:port of a flow's listener as its phone reaches it: it stands in our Contact, and is asked for when a call needs it;
	// once when it is the same for all flows of the listener.
	Host func(f telephony.Flow) (name string, same bool)
	// Policy is how the media of a leg is to be protected, and the device's own setting if it has one: else it is offered what
	// it last offered by itself. nil: preferred.
	Policy  func(account.ID, signal.Way) (sdp.Policy, sdp.Security)
	Limits  Limits
	Workers int // 0: one for each CPU
	Ring    time.Duration
	Session time.Duration // that is asked for with session timers (RFC 4028); 0: 30 minutes
	Lost    time.Duration // how long another node must say nothing until its calls are ended; 0: 15 minutes
	Ports   Ports
	Carried <-chan struct{} // closed once requests reach phones, those of other nodes too: calls of before a crash are ended then; nil: they do
	Logger  *slog.Logger
	Now     func() time.Time // nil: time.Now
}

// Limits bound what there may be at once; calls that have ended for people do not count, though a phone may not have answered its BYE yet.
// Zero: the default.
type Limits struct {
	Calls        int // of the node: further ones get 503; 20,000
	AccountCalls int // 480; 5,000
	UserCalls    int // 486 to who calls a user that has so many, 480 to that user; 20
	Queue        int // new calls that wait for a worker; 512
	Inside       int // requests within dialogs that wait for a worker; 8,192
	Changes      int // of history that wait for the store; 20,000
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, n int) {
		if *v == 0 {
			*v = n
		}
	}
	set(&l.Calls, 20_000)
	set(&l.AccountCalls, 5_000)
	set(&l.UserCalls, 20)
	set(&l.Queue, 512)
	set(&l.Inside, 8_192)
	set(&l.Changes, 20_000)
	return l
}
