package callswitch

import "demarc/telephony/signal"

// serials number the call's transactions at this node. They stay here when the call moves.
type serials struct {
	serial uint64
	lastTx uint32
}

// ours marks the transactions that calls begin, so that they never meet those of the edge.
const ours = signal.TxID(1) << 63

// A transaction of ours is named by 1 bit that says so, 36 of the call's serial, 8 of the leg and 19 that count.
const (
	legBits   = 8
	countBits = 19
)

// tx returns a new client transaction of the leg.
func (c *Call) tx(l *Leg) signal.TxID {
	c.lastTx++
	return ours | signal.TxID(c.serial)<<(legBits+countBits) | signal.TxID(l.ID&(1<<legBits-1))<<countBits |
		signal.TxID(c.lastTx&(1<<countBits-1))
}

// Serial returns the serial of the call that a transaction belongs to, and the leg. ok is false for those of the edge.
func Serial(tx signal.TxID) (serial uint64, leg int, ok bool) {
	return uint64(tx&^ours) >> (legBits + countBits), int(tx>>countBits) & (1<<legBits - 1), tx&ours != 0
}
