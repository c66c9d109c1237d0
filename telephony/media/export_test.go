package media

// Certificate is what a browser is shown.
func (m *Media) Certificate() []byte { return m.identity.DER() }
