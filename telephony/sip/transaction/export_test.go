package transaction

import (
	"demarc/telephony/signal"

	"demarc/telephony/sip"
)

// State returns where a transaction stands. It looks through all that rest in its shard.
func (u *UAS) State(tx signal.TxID) sip.State {
	s := &u.shards[tx%txShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.places.find(tx); t != nil {
		return t.state
	}
	if e := s.echoOf(tx); e != nil {
		return e.state
	}
	return sip.Terminated
}

// echoOf finds by number, which nobody else needs.
func (s *uasShard) echoOf(tx signal.TxID) *echo {
	for i := range s.echoes {
		e := &s.echoes[i]
		for number := e.first; number != e.next; number++ {
			if one, _ := e.at(number); one.id == tx {
				return one
			}
		}
	}
	return nil
}

// State returns where a transaction stands.
func (u *UAC) State(tx signal.TxID) sip.State {
	s := u.shard(tx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.table[tx]; t != nil {
		return t.state
	}
	if e, _ := s.echo(tx); e != nil {
		return sip.Accepted
	}
	return sip.Terminated
}
