package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
)

// table prints the users who have a device or an error, and how many there are besides.
func (d *demo) table() error {
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  EXTENSION\tNAME\tSTATE\tCODE\tWHY")
	others := 0
	rows := slices.SortedFunc(maps.Values(d.users), func(a, b userRow) int { return cmp.Compare(a.Extension, b.Extension) })
	for _, u := range rows {
		if u.Device == "" {
			others++
			continue
		}
		code := ""
		if u.SIPCode != 0 {
			code = fmt.Sprint(u.SIPCode)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", u.Extension, u.Name, u.State, code, u.Text)
	}
	fmt.Fprintf(w, "  …\tand %d more\tinactive\t\tsynced, no softphone yet\n", others)
	return w.Flush()
}
