package exchange

import (
	"demarc/internal/account"
	"demarc/telephony"
)

// contact is the URI of a leg that is reached over a flow.
func (w *worker) contact(acc account.ID, at place, f *telephony.Flow) string {
	name := string(f.Transport)
	if f.Transport == telephony.WSS {
		name = "ws" // RFC 7118 §5.2: the parameter does not say whether it is secure
	}
	var room [2 * maxToken]byte
	b := w.x.tokens.seal(append(room[:0], "sip:"...), acc, at)
	b = append(append(b, '@'), w.host(f)...)
	return string(append(append(b, ";transport="...), name...))
}

// host is what a listener is called in our Contacts.
type host struct{ listener, name string }

// host asks for what is the same for all once: the listeners of a node are all there before its calls.
func (w *worker) host(f *telephony.Flow) string {
	for i := range w.hosts {
		if w.hosts[i].listener == f.Listener {
			return w.hosts[i].name
		}
	}
	name, same := w.x.cfg.Host(*f)
	if same {
		w.hosts = append(w.hosts, host{f.Listener, name})
	}
	return name
}
