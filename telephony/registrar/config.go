package registrar

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"runtime"
	"time"

	"demarc/telephony"
	"demarc/telephony/authentication"
	"demarc/telephony/digest"
	"demarc/telephony/registration"
)

// Config of a Registrar. Node, Directory and Bindings are needed.
type Config struct {
	Node       string // names this node in the store; stable over restarts
	Directory  authentication.Directory
	Bindings   Bindings
	Offers     authentication.Offers // OfferMD5 when nil
	Algorithms []digest.Algorithm    // all that Offers may return: hashes of others are not kept in memory; nil: any
	Rules      registration.Rules    // see WithDefaults
	ThirdParty bool                  // lets From differ from To
	Volatile   bool                  // saves no refreshes, and comings and goings a moment after the reply; a restart ends every binding

	NonceKey      []byte        // random when empty
	NonceLifetime time.Duration // 10 minutes when 0

	Feed   Feed   // what other nodes on the same store do; nil: there are none
	Leases Leases // which of them are there; nil: nobody looks

	// Changed is told whose bindings have changed, once it is true in memory. It must not block. Nil: nobody is.
	Changed func([]telephony.AoR)

	Gathers Gathering // who replies, when several replies may go out together; nil: nobody

	Prober     Prober        // keeps phones behind NAT reachable over UDP; nil: nobody does
	ProbeEvery time.Duration // 25 s when 0

	Shards  int           // one per processor, at most 8, when 0
	Queue   int           // requests that may wait per shard; 1024 when 0
	Timeout time.Duration // of one lookup or save; 2 s when 0
	Tick    time.Duration // how often expiry and the directory's version are looked at; 250 ms when 0

	Now     func() time.Time
	Elapsed func() time.Duration // what has passed since some moment, by a clock that is never set; nil: as Now tells
	Log     *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Rules = c.Rules.WithDefaults()
	c.Shards = cmp.Or(c.Shards, min(8, runtime.GOMAXPROCS(0)))
	c.Queue = cmp.Or(c.Queue, 1024)
	c.Timeout = cmp.Or(c.Timeout, 2*time.Second)
	c.ProbeEvery = cmp.Or(c.ProbeEvery, 25*time.Second)
	c.Tick = cmp.Or(c.Tick, 250*time.Millisecond)
	if c.Offers == nil {
		c.Offers = authentication.OfferMD5
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Elapsed == nil {
		began, now := c.Now(), c.Now
		c.Elapsed = func() time.Duration { return now().Sub(began) } // which is not set where Now has the clock's monotonic reading
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.NonceKey) == 0 {
		c.NonceKey = make([]byte, 32)
		rand.Read(c.NonceKey) // never fails: crypto/rand ends the process instead
	}
	return c
}
