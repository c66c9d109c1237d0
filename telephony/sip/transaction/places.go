package transaction

import "demarc/telephony/signal"

// places finds the server transactions of a shard by their numbers. A number says where its transaction stands, so that nothing
// has to be searched; a count in it tells the transaction from an earlier one that stood there.
type places struct {
	all    []*serverTx
	vacant []int
}

// The bits of a transaction's number, from the lowest: the shard, a count, the place in the shard. The two highest are the mark's.
const (
	shardBits  = 4 // of txShards
	countBits  = 40
	placeShift = shardBits + countBits
	placeBits  = 62 - placeShift
)

// put gives a transaction a place and its number. ok is false when there is none left.
func (p *places) put(t *serverTx, mark signal.TxID, count, shard uint64) (ok bool) {
	place := len(p.all)
	if n := len(p.vacant); n > 0 {
		place, p.vacant = p.vacant[n-1], p.vacant[:n-1]
	} else if place == 1<<placeBits {
		return false
	} else {
		p.all = append(p.all, nil)
	}
	p.all[place] = t
	t.id = mark | signal.TxID(uint64(place)<<placeShift|count%(1<<countBits)<<shardBits|shard)
	return true
}

// find returns the transaction with the number, or nil.
func (p *places) find(tx signal.TxID) *serverTx {
	if place := placeOf(tx); place < len(p.all) {
		if t := p.all[place]; t != nil && t.id == tx {
			return t
		}
	}
	return nil
}

func (p *places) remove(tx signal.TxID) {
	place := placeOf(tx)
	p.all[place] = nil
	p.vacant = append(p.vacant, place)
}

func placeOf(tx signal.TxID) int { return int(uint64(tx) >> placeShift % (1 << placeBits)) }
