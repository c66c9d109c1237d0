package edge

import (
	"context"

	"demarc/telephony"
	"demarc/telephony/events"
	"demarc/telephony/registration"
)

// Handler is who decides about registrations.
type Handler interface {
	// Register decides about one REGISTER. It must not block; it, or a goroutine of its own, calls reply exactly once.
	Register(ctx context.Context, req *registration.Request, reply func(registration.Reply))
	// FlowClosed says that a connection that brought a REGISTER is gone, after all its replies.
	FlowClosed(f telephony.Flow)
}

// AtOnce is what a Handler may be too: then most REGISTERs are answered by the goroutine that has read them.
type AtOnce interface {
	// RegisterAtOnce decides about a REGISTER without waiting, if that can be, and fills the reply in. Otherwise it returns what is
	// to be called, once, with a function that takes the reply later. The texts of req are borrowed: none may be kept.
	RegisterAtOnce(ctx context.Context, req *registration.Request, reply *registration.Reply) (later func(func(registration.Reply)))
}

// Subscriptions is what a Handler may be too: then SUBSCRIBE is served.
type Subscriptions interface {
	// Subscribe decides about one SUBSCRIBE, as Register does about a REGISTER.
	Subscribe(ctx context.Context, req *events.Request, reply func(events.Reply))
}

// Handshakes is what a Handler may be too: then it hears of TLS handshakes that failed for a reason that somebody can mend.
type Handshakes interface {
	// HandshakeFailed tells of one; fault says what failed and what to do. It must not block for long.
	HandshakeFailed(f telephony.Flow, fault string)
}

// Guesses is what a Handler may be too: then it hears of sources that have guessed so often that they are met with silence.
type Guesses interface {
	// GuessesSpent tells of one, once until it has kept quiet for long enough; fault says what came and what is done. The AoR's texts are
	// borrowed. It must not block for long.
	GuessesSpent(f telephony.Flow, aor telephony.AoR, fault string)
}
