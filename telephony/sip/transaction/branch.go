package transaction

import (
	"strconv"

	"demarc/telephony/signal"
	"demarc/telephony/sip"
)

// appendBranch writes which transaction a branch is of, and a number that nobody can guess.
func appendBranch(b []byte, id clientID, secret uint64) []byte {
	b = append(b, sip.MagicCookie...)
	b = strconv.AppendUint(b, uint64(id.tx), 36)
	b = append(b, '-')
	return strconv.AppendUint(b, secret, 36)
}

func readBranch(b []byte) (id clientID, secret uint64, ok bool) {
	if len(b) < len(sip.MagicCookie) || string(b[:len(sip.MagicCookie)]) != sip.MagicCookie {
		return id, 0, false
	}
	b = b[len(sip.MagicCookie):]
	for i, c := range b {
		if c == '-' {
			tx, fine := number36(b[:i])
			secret, ok = number36(b[i+1:])
			id.tx = signal.TxID(tx)
			return id, secret, ok && fine
		}
	}
	return id, 0, false
}

func number36(b []byte) (n uint64, ok bool) {
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'z':
			c -= 'a' - 10
		default:
			return 0, false
		}
		n = n*36 + uint64(c)
	}
	return n, len(b) > 0 && len(b) <= 13
}
