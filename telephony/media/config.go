package media

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"

	"demarc/telephony"
)

// Config is what the media needs to know.
type Config struct {
	Ports         PortRange
	Address       netip.Addr            // the sockets are bound to it; zero: to the address that leads to the phone
	Advertise     netip.Addr            // what phones are told when nothing else fits; zero: what the sockets are bound to
	Listeners     map[string]netip.Addr // what phones of a SIP listener are told
	Networks      []Network             // what phones of a network are told; the first that fits, before Listeners
	Video         bool                  // else no leg has any
	Music         string                // WAV file for phones that are held; empty: our own
	Announcements string                // folder whose NAME.wav is played as NAME
	Timeout       time.Duration         // without a packet, RTCP included, until MediaStopped; 0: 30 s
	Loops         int                   // 0: one per two cores
	Events        func(telephony.MediaEvent)
	Logger        *slog.Logger
}

// PortRange is the ports that the pool holds, both ends included.
type PortRange struct{ First, Last uint16 }

// Network is phones that reach us by an address of their own.
type Network struct {
	Prefix  netip.Prefix
	Address netip.Addr
}

// Errors of this package.
var (
	ErrNoPorts = errors.New("no media port is free: widen telephony.media.ports")
	ErrUnknown = errors.New("no such media: it was never opened, or closed")
	ErrStopped = errors.New("the media has been stopped")
	ErrOpen    = errors.New("this media is open already")
	ErrAgreed  = errors.New("what was agreed cannot be done")
	errPorts   = errors.New("telephony.media.ports needs an even first port and room for one pair at least")
)

const defaultTimeout = 30 * time.Second

func (c Config) withDefaults() (Config, error) {
	if c.Ports.First%2 != 0 || c.Ports.First == 0 || c.Ports.Last <= c.Ports.First {
		return c, fmt.Errorf("%w: %d-%d", errPorts, c.Ports.First, c.Ports.Last)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Loops == 0 {
		c.Loops = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if c.Events == nil {
		c.Events = func(telephony.MediaEvent) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
