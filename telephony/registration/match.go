package registration

import (
	"slices"

	"demarc/telephony"
)

// match finds the binding that a contact is about, or -1. An instance without reg-id has one binding: when the phone
// comes back from another port, the URI differs but the phone is the same.
func match(bindings []Binding, c Contact, req *Request) int {
	if i := IndexKey(bindings, ContactKey(c, req.Outbound)); i >= 0 {
		return i
	}
	if c.flow(req) > 0 { // its key may be of an earlier version, that kept the instance as the phone wrote it
		return slices.IndexFunc(bindings, func(b Binding) bool {
			return b.RegID == c.RegID && telephony.SameInstance(b.Instance, c.Instance)
		})
	}
	if c.Instance == "" {
		return -1
	}
	return slices.IndexFunc(bindings, func(b Binding) bool {
		return telephony.SameInstance(b.Instance, c.Instance) && !named(req, b.Key) && b.Key == ContactKey(Contact{URI: b.Contact}, false)
	})
}

// named reports whether the request has a contact of its own for the key.
func named(req *Request, key string) bool {
	return slices.ContainsFunc(req.Contacts, func(c Contact) bool { return ContactKey(c, req.Outbound) == key })
}

// flow returns the reg-id that counts, or 0: without the option tag it means nothing, nor without an instance whose flow it could be
// (RFC 5626 §6).
func (c *Contact) flow(req *Request) int {
	if !req.Outbound || c.Instance == "" {
		return 0
	}
	return c.RegID
}

// ends reports whether the contact is to be removed.
func (c Contact) ends(req *Request) bool { return c.Expires == 0 || c.Expires < 0 && req.Expires == 0 }

// IndexKey returns which of the bindings has the key, or -1.
func IndexKey(bindings []Binding, key string) int {
	for i := range bindings { // copies would cost more than the comparison
		if bindings[i].Key == key {
			return i
		}
	}
	return -1
}
