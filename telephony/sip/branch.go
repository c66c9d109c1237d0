package sip

import (
	"strconv"

	"demarc/telephony/signal"
)

// appendBranch writes which transaction a branch is of, and a number that nobody can guess.
func appendBranch(b []byte, id clientID, secret uint64) []byte {
	b = append(b, magicCookie...)
	b = strconv.AppendUint(b, uint64(id.tx), 36)
	b = append(b, '-')
	return strconv.AppendUint(b, secret, 36)
}

func readBranch(b []byte) (id clientID, secret uint64, ok bool) {
	if len(b) < len(magicCookie) || string(b[:len(magicCookie)]) != magicCookie {
		return id, 0, false
	}
	b = b[len(magicCookie):]
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
