package softphone

// The roles of registrar addresses.
const (
	roleSBC      = "sbc"      // the outside route
	roleBackup   = "backup"   // the outside route when the first fails
	roleInternal = "internal" // the PBX itself, on site
)

// routes returns where to register, best first; within a role the PBX's own order stands. A mobile always takes the
// outside route, also on site, because it leaves the site without notice. A desktop asks the PBX directly on site. An
// internal address is no use outside, but it is all there is at a PBX without an SBC.
func routes(kind Kind, onSite bool, all []address) []address {
	order := []string{roleSBC, roleBackup}
	if kind == Desktop && onSite {
		order = []string{roleInternal, roleSBC, roleBackup}
	}
	chosen := byRole(all, order)
	if len(chosen) == 0 && kind == Desktop {
		chosen = byRole(all, []string{roleInternal})
	}
	return chosen
}

func byRole(all []address, order []string) []address {
	var chosen []address
	for _, role := range order {
		for _, a := range all {
			if a.Role == role {
				chosen = append(chosen, a)
			}
		}
	}
	return chosen
}
