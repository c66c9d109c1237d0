package config

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"demarc/internal/account"
)

// Explain writes the effective configuration as YAML that can be used as a file, each key with its help, its variable and
// where its value comes from. Secrets show as ***.
func (e Effective) Explain(w io.Writer) error {
	var b strings.Builder
	var open []string // sections around the last key
	walk(reflect.ValueOf(&e.Config).Elem(), "", func(k key) {
		parts := strings.Split(k.path, ".")
		name, sections := parts[len(parts)-1], parts[:len(parts)-1]
		for i, head := range sections {
			if i >= len(open) || open[i] != head {
				fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", i), head)
				open = open[:min(i, len(open))]
				open = append(open, head)
			}
		}
		open = open[:len(sections)]
		indent := strings.Repeat("  ", len(sections))
		fmt.Fprintf(&b, "%s# %s\n", indent, k.help)
		fmt.Fprintf(&b, "%s# %s, %s\n", indent, e.source(k.path), settable(k))
		fmt.Fprintf(&b, "%s%s:%s\n\n", indent, name, render(k.value, indent))
		if listeners, ok := k.value.Interface().([]Listener); ok {
			for _, l := range listeners {
				for _, note := range l.Notes() {
					fmt.Fprintf(&b, "%s# %s\n\n", indent, note)
				}
			}
		}
	})
	_, err := io.WriteString(w, b.String())
	return err
}

func (e Effective) source(path string) Source {
	if s, ok := e.Sources[path]; ok {
		return s
	}
	return FromDefault
}

func settable(k key) string {
	switch k.value.Interface().(type) {
	case []Listener, []RealmOffer, []MediaNetwork:
		return "set in the file only"
	}
	return Variable(k.path)
}

func render(v reflect.Value, indent string) string {
	switch x := v.Interface().(type) {
	case account.Secret:
		if x == "" {
			return ` ""`
		}
		return ` "***"`
	case time.Duration:
		return " " + x.String()
	case string:
		if x == "" {
			return ` ""`
		}
	}
	out, err := yaml.MarshalWithOptions(v.Interface(), yaml.Indent(2), yaml.IndentSequence(false))
	if err != nil {
		return " # " + err.Error()
	}
	text := strings.TrimRight(string(out), "\n")
	if v.Kind() == reflect.Slice && v.Len() > 0 {
		return "\n" + indent + strings.ReplaceAll(text, "\n", "\n"+indent)
	}
	return " " + text
}

// Table writes every key with its variable, default and help as a Markdown table, for docs/configuration.md.
func Table(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| key | variable | default | what it is |\n|---|---|---|---|\n")
	c := Default()
	walk(reflect.ValueOf(&c).Elem(), "", func(k key) {
		variable := settable(k)
		if strings.HasPrefix(variable, "DEMARC_") {
			variable = "`" + variable + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.path, variable, inline(k.value), k.help)
	})
	_, err := io.WriteString(w, b.String())
	return err
}

// ListenerTable writes what an entry of telephony.listeners may have, as a Markdown table.
func ListenerTable(w io.Writer) error {
	var b strings.Builder
	b.WriteString("| key | what it is |\n|---|---|\n")
	walk(reflect.ValueOf(Listener{}), "", func(k key) {
		name, _, _ := strings.Cut(k.path, ",")
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, k.help)
	})
	_, err := io.WriteString(w, b.String())
	return err
}

func inline(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case []Listener:
		parts := make([]string, len(x))
		for i, l := range x {
			parts[i] = fmt.Sprintf("`%s` (%s on %s)", l.Name, l.Transport, l.Address)
		}
		return strings.Join(parts, ", ")
	case []string, []Role:
		return "`" + strings.Trim(fmt.Sprint(x), "[]") + "`"
	case []RealmOffer:
		return "none"
	}
	if v.IsZero() {
		return "empty"
	}
	return fmt.Sprintf("`%v`", v.Interface())
}
